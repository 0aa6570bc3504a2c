//! Files inside, touched with the rights of the steps' user: by this program, run as that user.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use outrider_model::report::Exit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{InitClient, VERB};
use crate::{Discard, ExecutorError, Inside, ToolRequest};

/// How long the text of an error may be that comes from inside.
const MAX_ANSWER: u64 = 4 << 10;

/// As [`Inside::write_file`].
pub(super) async fn write(
    client: &InitClient,
    path: &Path,
    mode: u32,
    bytes: &[u8],
) -> Result<(), ExecutorError> {
    let action = format!("write={mode:o},{}", bytes.len());
    run(client, &action, path, bytes).await.map(drop)
}

/// As [`Inside::exists`].
pub(super) async fn exists(client: &InitClient, path: &Path) -> Result<bool, ExecutorError> {
    run(client, "exists", path, &[]).await
}

/// As [`Inside::remove`].
pub(super) async fn remove(client: &InitClient, path: &Path) -> Result<(), ExecutorError> {
    run(client, "remove", path, &[]).await.map(drop)
}

/// Runs [`act`] inside.
async fn run(
    client: &InitClient,
    action: &str,
    path: &Path,
    input: &[u8],
) -> Result<bool, ExecutorError> {
    let shown = path.display();
    let Some(path) = path.to_str() else {
        let message = format!("the path `{shown}` is not UTF-8\nchoose another one");
        return Err(ExecutorError::user(message, None));
    };
    let request = ToolRequest {
        arguments: [VERB, action, path].map(str::to_owned).into(),
        environment: BTreeMap::new(),
    };
    let mut tool = client.start_tool(request, Arc::new(Discard)).await?;
    // If it cannot be written, the tool has ended with an error, and says which.
    if tool.stdin.write_all(input).await.is_ok() {
        let _ = tool.stdin.shutdown().await;
    }
    let mut answer = String::new();
    let mut stdout = tool.stdout.take(MAX_ANSWER);
    let read = stdout.read_to_string(&mut answer).await;
    let ended = tool.ended.await?;
    match (ended.exit, answer.trim(), read) {
        (Exit::Code(0), "yes", Ok(_)) => Ok(true),
        (Exit::Code(0), "no", Ok(_)) => Ok(false),
        (exit, answer, _) => Err(refused(action, &shown, exit, answer)),
    }
}

fn refused(action: &str, path: &std::path::Display<'_>, exit: Exit, answer: &str) -> ExecutorError {
    let source = match answer.parse() {
        Ok(number) => io::Error::from_raw_os_error(number),
        Err(_) => io::Error::other(format!("the program inside ended with {exit:?}")),
    };
    let action = action.split('=').next().unwrap_or_default();
    let what = match action {
        "write" => format!("the file `{path}` could not be written in the container"),
        "exists" => format!("`{path}` could not be looked for in the container"),
        _ => format!("`{path}` could not be removed in the container"),
    };
    match source.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => ExecutorError::infrastructure(
            format!("{what}\nthe container's disk is full: free some space on its host"),
            source,
        ),
        Some(_) => ExecutorError::user(
            format!("{what}\nchoose a path that the steps' user may use"),
            source,
        ),
        None => ExecutorError::infrastructure(
            format!("{what}\nlook at the container's limits on memory and processes"),
            source,
        ),
    }
}

/// The program's part inside: does one thing, and prints `yes`, `no` or the number of an error.
pub(super) fn act(action: &str, path: &OsString) -> ExitCode {
    let path = Path::new(path);
    let done = match action.split_once('=').unwrap_or((action, "")) {
        ("write", what) => write_here(path, what),
        ("exists", _) => exists_here(path),
        ("remove", _) => remove_here(path),
        ("directory", _) => DirBuilder::new()
            .recursive(true)
            .create(path)
            .map(|()| true),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    };
    match done {
        Ok(true) => println!("yes"),
        Ok(false) => println!("no"),
        Err(error) => {
            println!("{}", error.raw_os_error().unwrap_or(libc::EINVAL));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The old file stays until the new one is whole.
fn write_here(path: &Path, what: &str) -> io::Result<bool> {
    let (mode, length) = what.split_once(',').ok_or(io::ErrorKind::InvalidInput)?;
    let mode = u32::from_str_radix(mode, 8).map_err(io::Error::other)?;
    let length = length.parse().map_err(io::Error::other)?;
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(parent)?;
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut draft = OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}", std::process::id()));
    let draft = path.with_file_name(draft);
    let written = fill(&draft, mode, length).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.map(|()| true)
}

fn fill(path: &Path, mode: u32, length: u64) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path)?;
    if io::copy(&mut io::stdin().lock(), &mut file)? != length {
        return Err(io::Error::from_raw_os_error(libc::EPIPE));
    }
    file.flush()?;
    file.set_permissions(Permissions::from_mode(mode))
}

fn exists_here(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_here(path: &Path) -> io::Result<bool> {
    let is_folder = match path.symlink_metadata() {
        Ok(found) => found.is_dir(),
        Err(error) if is_absence(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    if is_folder {
        crate::process::remove_all(path)?;
    } else {
        fs::remove_file(path)?;
    }
    Ok(true)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}
