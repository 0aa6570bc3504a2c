//! The container that this process itself runs in, if the Engine that it uses has made it.

use std::fs;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerInspectResponse, MountPoint};

use super::answer::answered;
use super::engine::{Engine, status};
use super::settle::settled;
use crate::ExecutorError;

/// Files that an Engine mounts into every container, from a folder that is named after it.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// The id of the container that this process runs in, if there are signs of one. No Engine is
/// asked.
pub fn own_container_id() -> Option<String> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    id_in(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

/// The cgroup says it where it is the host's view; the mounts say it everywhere else.
fn id_in(cgroup: &str, mountinfo: &str) -> Option<String> {
    let groups = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let sources = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (source, target) = (fields.next()?, fields.next()?);
        MOUNTED.contains(&target).then_some(source)
    });
    groups.chain(sources).find_map(innermost_id)
}

/// The last part of a path that names a container: `ID`, `docker-ID.scope`, `libpod-ID`.
fn innermost_id(path: &str) -> Option<String> {
    let parts = path.rsplit(['/', '-', '.']);
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.into_iter().find(is_id).map(str::to_owned)
}

/// A start of a container: it has another one each time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Start {
    /// The container.
    pub id: String,
    /// When, in the Engine's words.
    pub at: String,
}

impl Start {
    /// The start of a container that runs.
    pub async fn of(engine: &Engine, id: &str) -> Result<Option<Self>, ExecutorError> {
        let found = inspect(engine, id).await?;
        Ok(found.and_then(Self::from_answer))
    }

    fn from_answer(answer: ContainerInspectResponse) -> Option<Self> {
        let state = answer.state?;
        let at = state.started_at.filter(|_| state.running == Some(true))?;
        Some(Self { id: answer.id?, at })
    }
}

/// The container that this process runs in.
#[derive(Debug)]
pub(super) struct OwnContainer {
    /// Since when this process can have been there.
    pub start: Start,
    mounts: Vec<MountPoint>,
}

impl OwnContainer {
    /// Asks the Engine. None: this process runs in no container, or in one of another Engine.
    pub async fn find(engine: &Engine) -> Result<Option<Self>, ExecutorError> {
        let Some(id) = own_container_id() else {
            return Ok(None);
        };
        let Some(mut answer) = inspect(engine, &id).await? else {
            return Ok(None);
        };
        let mounts = answer.mounts.take().unwrap_or_default();
        let start = Start::from_answer(answer);
        Ok(start.map(|start| Self { start, mounts }))
    }

    /// Whether a folder of this container lies below one of its host's.
    pub fn is_below(&self, path: &Path, host_folder: Option<&str>) -> bool {
        let on_host = self.on_host(path);
        on_host.is_some_and(|path| host_folder.is_some_and(|folder| path.starts_with(folder)))
    }

    /// What the host calls something that is mounted here.
    pub fn on_host(&self, path: &Path) -> Option<PathBuf> {
        on_host(&self.mounts, path)
    }
}

fn on_host(mounts: &[MountPoint], path: &Path) -> Option<PathBuf> {
    // `/var/run` is a link to `/run` in most images, and mounts are where links lead.
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let path = real(path);
    let found = mounts.iter().filter_map(|mount| {
        let target = real(Path::new(mount.destination.as_deref()?));
        let source = Path::new(mount.source.as_deref().filter(|it| it.starts_with('/'))?);
        let below = path.strip_prefix(&target).ok()?;
        let whole = below.as_os_str().is_empty();
        let host = if whole {
            source.to_owned()
        } else {
            source.join(below)
        };
        Some((target.components().count(), host))
    });
    found.max_by_key(|(depth, _)| *depth).map(|(_, host)| host)
}

async fn inspect(
    engine: &Engine,
    id: &str,
) -> Result<Option<ContainerInspectResponse>, ExecutorError> {
    let docker = engine.docker();
    let ask = || answered(docker, docker.inspect_container(id, None));
    match settled(ask).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => {
            let what = format!("the runner's container {id} could not be looked at");
            Err(engine.error(&what, error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "61183c6572d549e33234f28f848d1d4c5a1fd0dde72d3f5fc904643e8c66f4d8";
    const OUTER: &str = "7f4395635eddeb69a66a41e6954bf2064a0c5c5f03d6a1deb9a2a3a6a485efec";

    fn mounted(source: &str, target: &str) -> String {
        format!("93 76 254:0 {source} {target} rw,relatime - ext4 /dev/vda rw\n")
    }

    #[test]
    fn every_engine_leaves_signs() {
        let docker = format!("/var/lib/docker/containers/{ID}/hostname");
        let podman = format!("/containers/storage/overlay-containers/{ID}/userdata/hosts");
        for (cgroup, mountinfo) in [
            (format!("9:name=systemd:/docker/{ID}\n"), String::new()),
            (
                format!("0::/system.slice/docker-{ID}.scope\n"),
                String::new(),
            ),
            (
                format!("0::/machine.slice/libpod-{ID}.scope\n"),
                String::new(),
            ),
            (
                format!("8:pids:/docker/{OUTER}/docker/{ID}\n"),
                String::new(),
            ),
            ("0::/\n".to_owned(), mounted(&docker, "/etc/hostname")),
            ("0::/\n".to_owned(), mounted(&podman, "/etc/hosts")),
        ] {
            assert_eq!(id_in(&cgroup, &mountinfo).as_deref(), Some(ID), "{cgroup}");
        }
    }

    #[test]
    fn a_process_of_the_host_is_in_none() {
        let elsewhere = mounted(&format!("/var/lib/docker/containers/{ID}/hosts"), "/mnt");
        let cgroup = "0::/user.slice/user-1000.slice/session-1.scope\n";
        for mountinfo in [&elsewhere, "", "nonsense\n", "1 2 3\n"] {
            assert_eq!(id_in(cgroup, mountinfo), None);
        }
        assert_eq!(id_in("nonsense\n\n0::\n", ""), None);
    }

    #[test]
    fn what_is_mounted_here_has_another_name_on_the_host() {
        let place = tempfile::tempdir().expect("a folder");
        let run = place.path().join("run");
        fs::create_dir(&run).expect("a folder");
        std::os::unix::fs::symlink(&run, place.path().join("link")).expect("a link");
        let mount = |target: &str, source: &str| MountPoint {
            destination: Some(place.path().join(target).to_string_lossy().into_owned()),
            source: Some(source.to_owned()),
            ..MountPoint::default()
        };
        let mounts = [
            mount("run", "/srv/run"),
            mount("link/docker.sock", "/e.sock"),
        ];
        for name in ["docker.sock", "other"] {
            fs::write(run.join(name), "").expect("a file");
        }
        let on_host = |mounts: &[MountPoint], path| on_host(mounts, &place.path().join(path));
        assert_eq!(on_host(&mounts, "run/docker.sock"), Some("/e.sock".into()));
        assert_eq!(
            on_host(&mounts, "link/other"),
            Some("/srv/run/other".into())
        );
        assert_eq!(on_host(&mounts, "link/docker.sock"), Some("/e.sock".into()));
        assert_eq!(on_host(&mounts, "elsewhere"), None);
        assert_eq!(on_host(&[], "run/docker.sock"), None);
    }
}
