//! Disks with little room.

use std::path::PathBuf;
use std::process::Command;

/// A file system of a few megabytes. Unmounted when it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None, said aloud, where this process may not mount.
    pub fn mount(path: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let options = format!("size={size},mode=0700");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(path)),
            why => {
                println!("skipped: a small file system cannot be mounted here: {why:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
