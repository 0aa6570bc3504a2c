//! What the owner of a runner decides about containers: the same flags wherever a runner starts.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use outrider_executor::docker::{
    BuildCacheCare, DockerSettings, ImageCare, Limits, Privileges, PullPolicy, Warm,
};

use crate::args::{duration, engine_address};
use crate::quantity::{bytes, cpu_millis, memory};

/// How containers run.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Containers")]
pub struct DockerArgs {
    /// Where the Docker Engine or Podman listens, for example unix:///run/podman/podman.sock
    /// [default: DOCKER_HOST, or the usual sockets].
    #[arg(long, env = "OUTRIDER_DOCKER_HOST", value_parser = engine_address, value_name = "ADDRESS")]
    docker_host: Option<String>,
    /// When images are pulled [default: missing].
    #[arg(long, env = "OUTRIDER_PULL", value_name = "WHEN")]
    pull: Option<Pull>,
    /// Processors for the primary container, for example 400m or 2 [default: as the job's
    /// resource_class says].
    #[arg(long, env = "OUTRIDER_CONTAINER_LIMIT_CPU", value_parser = cpu_millis, value_name = "CPU")]
    container_limit_cpu: Option<u64>,
    /// Memory for the primary container, for example 650Mi [default: as the job's resource_class
    /// says].
    #[arg(long, env = "OUTRIDER_CONTAINER_LIMIT_MEMORY", value_parser = memory, value_name = "SIZE")]
    container_limit_memory: Option<u64>,
    /// How much the primary container may write to its own disk, for example 1Gi [default: any].
    #[arg(long, env = "OUTRIDER_CONTAINER_LIMIT_STORAGE", value_parser = bytes, value_name = "SIZE")]
    container_limit_storage: Option<u64>,
    /// Processes and threads in each container [default: 4096].
    #[arg(
        long,
        env = "OUTRIDER_CONTAINER_LIMIT_PIDS",
        value_parser = clap::value_parser!(u64).range(1..=4_194_304),
        value_name = "N"
    )]
    container_limit_pids: Option<u64>,
    /// Processors for each service container [default: as the job's resource_class says].
    #[arg(long, env = "OUTRIDER_EXTRA_LIMIT_CPU", value_parser = cpu_millis, value_name = "CPU")]
    extra_limit_cpu: Option<u64>,
    /// Memory for each service container [default: as the job's resource_class says].
    #[arg(long, env = "OUTRIDER_EXTRA_LIMIT_MEMORY", value_parser = memory, value_name = "SIZE")]
    extra_limit_memory: Option<u64>,
    /// How much each service container may write to its own disk [default: any].
    #[arg(long, env = "OUTRIDER_EXTRA_LIMIT_STORAGE", value_parser = bytes, value_name = "SIZE")]
    extra_limit_storage: Option<u64>,
    /// Let programs in containers gain rights by being executed, as sudo and su do.
    #[arg(long, env = "OUTRIDER_ALLOW_SUDO")]
    allow_sudo: bool,
    /// Give jobs with setup_remote_docker the Engine's socket: with it they have the rights of root
    /// on its host.
    #[arg(long, env = "OUTRIDER_ALLOW_DOCKER_SOCKET")]
    allow_docker_socket: bool,
    /// Make the root file system of containers read-only.
    #[arg(long, env = "OUTRIDER_READ_ONLY_ROOT")]
    read_only_root: bool,
    /// Keep N containers running that wait for a job; with --warm-image N of each image [default: 0,
    /// or 1 with --warm-image].
    #[arg(long, env = "OUTRIDER_WARM", value_name = "N")]
    warm: Option<usize>,
    /// An image of which containers wait; repeat it for more [default: those that jobs used last].
    #[arg(
        long,
        env = "OUTRIDER_WARM_IMAGES",
        value_delimiter = ',',
        value_name = "IMAGE"
    )]
    warm_image: Vec<String>,
    /// How much space pulled images may take before those go that no task has used for longest
    /// [default: any].
    #[arg(long, env = "OUTRIDER_IMAGE_MAX_SIZE", value_parser = bytes, value_name = "SIZE")]
    image_max_size: Option<u64>,
    /// For how long a pulled image is kept that no task uses [default: 336h].
    #[arg(long, env = "OUTRIDER_IMAGE_MAX_AGE", value_parser = duration, value_name = "DURATION")]
    image_max_age: Option<Duration>,
    /// How much space the Engine's build cache may take before what no build has used for longest
    /// goes [default: any].
    #[arg(long, env = "OUTRIDER_BUILD_CACHE_MAX_SIZE", value_parser = bytes, value_name = "SIZE")]
    build_cache_max_size: Option<u64>,
    /// For how long the Engine's build cache keeps what no build uses [default: for ever, with
    /// --allow-docker-socket 336h].
    #[arg(long, env = "OUTRIDER_BUILD_CACHE_MAX_AGE", value_parser = duration, value_name = "DURATION")]
    build_cache_max_age: Option<Duration>,
    /// How much stays free on the Engine's disk: pulled images go for it [default: 5Gi].
    #[arg(long, env = "OUTRIDER_MIN_FREE_DISK", value_parser = bytes, value_name = "SIZE")]
    min_free_disk: Option<u64>,
}

/// When images are pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Pull {
    /// If they are not there.
    Missing,
    /// Before every task.
    Always,
    /// Never: they must be there.
    Never,
}

impl From<Pull> for PullPolicy {
    fn from(pull: Pull) -> Self {
        match pull {
            Pull::Missing => Self::Missing,
            Pull::Always => Self::Always,
            Pull::Never => Self::Never,
        }
    }
}

impl DockerArgs {
    /// The usual ones, for an Engine at this address.
    pub fn at(docker_host: Option<String>) -> Self {
        Self {
            docker_host,
            ..Self::default()
        }
    }

    /// Whether sudo may work in containers.
    pub const fn allows_sudo(&self) -> bool {
        self.allow_sudo
    }

    /// The address that is given, here or as `DOCKER_HOST`.
    pub fn engine(&self) -> Option<String> {
        let environment = std::env::var_os("DOCKER_HOST");
        let environment = environment.and_then(|address| address.into_string().ok());
        let given = self.docker_host.clone().or(environment);
        given.filter(|address| !address.is_empty())
    }

    /// All of it, for a runner with this name.
    pub fn settings(&self, runner_name: &str, program: &Path, owners: &Path) -> DockerSettings {
        DockerSettings {
            engine: self.engine(),
            limits: Limits {
                cpu_millis: self.container_limit_cpu,
                memory: self.container_limit_memory,
                storage: self.container_limit_storage,
                pids: self.container_limit_pids,
            },
            service_limits: Limits {
                cpu_millis: self.extra_limit_cpu,
                memory: self.extra_limit_memory,
                storage: self.extra_limit_storage,
                pids: self.container_limit_pids,
            },
            pull: self.pull.map(PullPolicy::from).unwrap_or_default(),
            privileges: Privileges {
                sudo: self.allow_sudo,
                docker_socket: self.allow_docker_socket,
                read_only_root: self.read_only_root,
            },
            warm: self.warm(),
            images: self.image_care(),
            build_cache: self.build_cache_care(),
            ..DockerSettings::new(runner_name, program, owners)
        }
    }

    fn warm(&self) -> Warm {
        let images = self.warm_image.iter().filter(|image| !image.is_empty());
        let images: Vec<_> = images.cloned().collect();
        Warm {
            containers: self.warm.unwrap_or(usize::from(!images.is_empty())),
            images,
        }
    }

    fn image_care(&self) -> ImageCare {
        let usual = ImageCare::default();
        ImageCare {
            max_bytes: self.image_max_size.or(usual.max_bytes),
            max_age: self.image_max_age.or(usual.max_age),
            min_free: self.min_free_disk.or(usual.min_free),
        }
    }

    /// Where no job can build, the build cache is somebody else's.
    fn build_cache_care(&self) -> Option<BuildCacheCare> {
        let usual = self.allow_docker_socket.then(BuildCacheCare::default);
        let given = BuildCacheCare {
            max_bytes: self.build_cache_max_size,
            max_age: self.build_cache_max_age.or(usual.and_then(|it| it.max_age)),
        };
        let wanted = usual.is_some() || given.max_bytes.is_some() || given.max_age.is_some();
        wanted.then_some(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        docker: DockerArgs,
    }

    fn settings(arguments: &str) -> DockerSettings {
        let words = std::iter::once("outrider").chain(arguments.split_whitespace());
        let line = Line::try_parse_from(words).expect("arguments");
        line.docker
            .settings("box", Path::new("/bin/outrider"), Path::new("/owners"))
    }

    #[test]
    fn flags_become_settings() {
        let settings = settings(
            "--docker-host unix:///e.sock --pull always --container-limit-cpu 400m \
             --container-limit-memory 650Mi --container-limit-storage 1Gi \
             --container-limit-pids 100 --extra-limit-cpu 2 --extra-limit-memory 1Gi \
             --allow-sudo --warm 2 --warm-image a:1 --warm-image b,c --image-max-size 20Gi \
             --image-max-age 1h --min-free-disk 1Gi",
        );
        assert_eq!(settings.engine.as_deref(), Some("unix:///e.sock"));
        assert_eq!(settings.pull, PullPolicy::Always);
        let limits = Limits {
            cpu_millis: Some(400),
            memory: Some(650 << 20),
            storage: Some(1 << 30),
            pids: Some(100),
        };
        assert_eq!(settings.limits, limits);
        let service_limits = Limits {
            cpu_millis: Some(2_000),
            memory: Some(1 << 30),
            storage: None,
            pids: Some(100),
        };
        assert_eq!(settings.service_limits, service_limits);
        assert!(settings.privileges.sudo && !settings.privileges.docker_socket);
        let warm = Warm {
            containers: 2,
            images: ["a:1", "b", "c"].map(str::to_owned).to_vec(),
        };
        assert_eq!(settings.warm, warm);
        let care = ImageCare {
            max_bytes: Some(20 << 30),
            max_age: Some(Duration::from_secs(3_600)),
            min_free: Some(1 << 30),
        };
        assert_eq!(settings.images, care);
    }

    #[test]
    fn build_cache_is_looked_after_where_jobs_build_or_if_somebody_says_so() {
        assert_eq!(settings("").build_cache, None);
        let usual = settings("--allow-docker-socket").build_cache;
        assert_eq!(usual, Some(BuildCacheCare::default()));
        let given = BuildCacheCare {
            max_bytes: Some(1 << 30),
            max_age: None,
        };
        let line = "--build-cache-max-size 1Gi";
        assert_eq!(settings(line).build_cache, Some(given));
        let both = settings(&format!("{line} --allow-docker-socket"));
        let max_age = BuildCacheCare::default().max_age;
        assert_eq!(both.build_cache, Some(BuildCacheCare { max_age, ..given }));
    }

    #[test]
    fn nothing_is_allowed_that_nobody_asked_for() {
        let settings = settings("");
        assert_eq!(settings.privileges, Privileges::default());
        assert_eq!(settings.limits, Limits::default());
        assert_eq!(settings.images, ImageCare::default());
        assert_eq!(settings.warm, Warm::default());
    }

    #[test]
    fn who_names_an_image_wants_one_container() {
        assert_eq!(settings("--warm-image a").warm.containers, 1);
        assert_eq!(settings("--warm-image a --warm 0").warm.containers, 0);
        assert_eq!(settings("--warm 3").warm.containers, 3);
    }
}
