//! The volume with this program.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bollard::query_parameters::RemoveVolumeOptions;
use outrider_testkit::docker::client;

use super::support::{containers, exec, executor, prepare, request, settings};

/// A build of this program that nobody else uses: what stands at its end is not looked at.
fn own_build(place: &Path) -> PathBuf {
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_outrider")).expect("a program");
    program.extend(place.as_os_str().as_encoded_bytes());
    let path = place.join("outrider");
    std::fs::write(&path, program).expect("written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a program again");
    path
}

#[tokio::test]
async fn a_volume_that_somebody_removes_is_filled_again() {
    let (executor, place) = executor(|place| {
        let mut settings = settings(place);
        settings.program = own_build(place);
        settings
    });
    let note = || {
        let notes = std::fs::read_dir(place.path().join("owners/programs"));
        let note = notes.expect("notes").next().expect("of our volume");
        note.expect("listed")
            .file_name()
            .into_string()
            .expect("text")
    };
    for _ in 0..2 {
        let (attempt, environment) = prepare(&executor, request().await).await;
        let (result, output) = exec(&*environment, "echo there").await;
        assert!(result.expect("exec").exit.success());
        assert_eq!(output, "there\n");
        environment.cleanup().await.expect("cleanup");
        assert_eq!(containers(attempt).await, [""; 0]);
        let volume = note();
        let options = None::<RemoveVolumeOptions>;
        let removed = client().remove_volume(&volume, options).await;
        removed.expect("nobody uses it");
    }
}
