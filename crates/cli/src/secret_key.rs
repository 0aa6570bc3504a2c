//! Where the server has the keys from that seal secrets.

use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use outrider_model::Random;
use outrider_server::{Keyring, new_key};
use zeroize::Zeroizing;

use crate::failure::{Failure, code};
use crate::server::write_secret;

/// The keys in the environment. They are never taken from an argument: others can read those.
const VARIABLE: &str = "OUTRIDER_SECRET_KEY";

/// The file in the data folder that is made where no other source is named.
const FILE: &str = "secret-key";

/// Where the keys are.
#[derive(Args)]
pub struct SecretKeyArgs {
    /// A file with the keys that seal secrets, one a line, the newest first [default: secret-key in
    /// the data folder, or the variable OUTRIDER_SECRET_KEY].
    #[arg(long, env = "OUTRIDER_SECRET_KEY_FILE", value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
}

impl SecretKeyArgs {
    /// The keys: from the file that is named, from the environment, or from the data folder, where a
    /// new one is made at the first start.
    pub fn keyring(&self, data: &Path, random: &dyn Random) -> Result<Keyring, Failure> {
        let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        match (&self.secret_key_file, variable) {
            (Some(_), Some(_)) => Err(Failure::new(
                code::BAD_SETTINGS,
                format!("there are keys in both {VARIABLE} and a file of keys"),
            )
            .advise("Say where they are in one way.")),
            (Some(path), None) => parse(&read(path)?, &path.display().to_string()),
            (None, Some(value)) => {
                // A variable is easier to set in one line.
                let text = Zeroizing::new(value.to_string_lossy().replace([',', ' '], "\n"));
                parse(&text, VARIABLE)
            }
            (None, None) => in_folder(&data.join(FILE), random),
        }
    }
}

fn in_folder(path: &Path, random: &dyn Random) -> Result<Keyring, Failure> {
    if !path.exists() {
        let key = new_key(random);
        let text = format!(
            "# This key opens all secrets of this server. Keep a copy of it apart from the database.\n{}",
            *key
        );
        write_secret(path, &Zeroizing::new(text))?;
    }
    parse(&read(path)?, &path.display().to_string())
}

/// The text of a file that nobody else can read.
fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let cannot = |error: std::io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::new(code::NOT_FOUND, message)
    };
    let mut file = std::fs::File::open(path).map_err(cannot)?;
    check_mode(path, &file.metadata().map_err(cannot)?.permissions())?;
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
}

fn check_mode(path: &Path, permissions: &Permissions) -> Result<(), Failure> {
    if permissions.mode() & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    let message = format!("others can read {path}, which has the keys of all secrets");
    Err(Failure::new(code::BAD_SETTINGS, message).advise(format!(
        "Take the rights from them with `chmod 600 {path}`. If they may have read it, put a new key \
         into its first line and run `outrider secrets rotate`."
    )))
}

fn parse(text: &str, source: &str) -> Result<Keyring, Failure> {
    Keyring::parse(text).map_err(|error| {
        Failure::new(code::BAD_SETTINGS, format!("{source}: {error}"))
            .advise("Make a key with `openssl rand -base64 32`, and write one a line.")
    })
}
