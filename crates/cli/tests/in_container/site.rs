//! A server of this host, an image with this build, and what is started with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use outrider_api::jobs::LogQuery;
use outrider_api::runners::ListRunners;
use outrider_model::PipelineId;
use outrider_testkit::docker::{Image, engine, lock};
use outrider_testkit::git;

use crate::common::{OUTRIDER, Process, World, outrider, wait_for};

/// The class of all runners here.
pub const CLASS: &str = "acme/box";

/// Where runners find a repository. It has one file, `greeting`.
pub const CODE: &str = "/srv/code";

/// The images of all tests have layers in common: none are removed while others are made of them.
const IMAGES: &str = "runner-images";

/// What `install-command` has printed.
pub struct Line {
    pub text: String,
    pub token: String,
}

/// Everything of one test. What is left at its end goes with it.
pub struct Site {
    pub world: World,
    _server: Process,
    image: String,
}

impl Site {
    /// Starts the server, and makes the image as the Dockerfile says, with this build in it, the
    /// host's git, and a repository at [`CODE`].
    pub async fn start(arguments: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let image = format!("outrider-test/runner:{}-{number}", std::process::id());
        let mut world = World::new();
        let server = world.start_server(arguments).await;
        let site = Self {
            world,
            _server: server,
            image,
        };
        site.build(&Image::Debian.provide().await);
        site
    }

    fn build(&self, debian: &str) {
        let _lock = lock(IMAGES);
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let base = format!("{}-base", self.image);
        let runtime = std::fs::read(project.join("Dockerfile")).unwrap();
        let debian = format!("RUNTIME_IMAGE={debian}");
        let arguments = [
            "build",
            "--network=none",
            "--target=runtime",
            "--build-arg=PACKAGES=",
            "--build-arg",
        ];
        let arguments = [&arguments[..], &[&debian, "--tag", &base, "-"]].concat();
        docker_with(&arguments, &runtime);
        let folder = self.world.path("image");
        fill(&folder, &base);
        docker(&[
            "build",
            "--network=none",
            "--tag",
            &self.image,
            folder.to_str().unwrap(),
        ]);
    }

    /// `outrider runner install-command` for the class, as the administrator.
    pub fn install_command(&self, arguments: &[&str]) -> Output {
        let mut command = outrider();
        command.args(["runner", "install-command", "--class", CLASS, "--url"]);
        command.arg(self.world.url()).arg("--token-file");
        command.arg(self.world.path("server/admin-token"));
        command.args(arguments).output().unwrap()
    }

    /// The line for this Engine, with more for `docker run`.
    pub fn line(&self, more: &[&str]) -> Line {
        let engine = engine();
        let socket = engine
            .strip_prefix("unix://")
            .expect("an Engine with a socket");
        let label = self.label();
        let own = ["--docker", "--image", &self.image, "--socket", socket];
        let own = [&own[..], &["--", "--label", &label], more].concat();
        let ran = self.install_command(&own);
        let (text, notes) = (utf8(ran.stdout), utf8(ran.stderr));
        assert!(ran.status.success(), "{notes}");
        let at = text.find("outrider_class_").expect("a token");
        let length = text[at..].find(' ').expect("more than a token");
        let token = text[at..at + length].to_owned();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(text.matches(&token).count(), 1, "shown once: {text}");
        assert!(!notes.contains(&token), "{notes}");
        Line { text, token }
    }

    /// By which the runners of this test are found again.
    fn label(&self) -> String {
        format!("outrider.test={}", self.image)
    }

    /// Gives the line to a shell, and looks for its token among the arguments of all processes.
    /// Returns the id of the runner's container.
    pub fn run(&self, line: &Line) -> String {
        let mut shell = Command::new("sh");
        shell.env("PATH", path());
        std::thread::scope(|scope| {
            let shell = scope.spawn(|| fed(&mut shell, line.text.as_bytes()));
            while !shell.is_finished() {
                assert_eq!(arguments_with(&line.token), [""; 0]);
            }
            shell.join().expect("a runner that starts")
        })
    }

    /// Waits until so many runners are known: their names, all of them different.
    pub async fn runners(&self, number: usize) -> Vec<String> {
        let query = ListRunners {
            class: Some(CLASS.parse().unwrap()),
        };
        wait_for("runners", async || {
            let list = self.world.admin().runners(&query).await.unwrap();
            let mut names: Vec<_> = list.items.into_iter().map(|it| it.name).collect();
            names.sort();
            names.dedup();
            (names.len() == number).then_some(names)
        })
        .await
    }

    /// Waits until a runner has so many containers of jobs that run.
    pub async fn jobs_of(&self, runner: &str, number: usize) -> Vec<String> {
        wait_for("containers of jobs", async || {
            let found = jobs_of(runner);
            (found.len() == number).then_some(found)
        })
        .await
    }

    /// Waits until a pipeline's only step has written this.
    pub async fn says(&self, pipeline: PipelineId, text: &str) {
        let task = self.world.task(pipeline).await;
        wait_for("output", async || {
            let log = self.world.admin().log(task, &LogQuery::default()).await;
            let log = log.ok()?.bytes().await.ok()?;
            String::from_utf8_lossy(&log).contains(text).then_some(())
        })
        .await;
    }

    /// Lets the job of a runner go on.
    pub async fn let_go(&self, runner: &str) {
        let primary = listed(&[&owner(runner), "--filter=label=outrider.role=primary"]);
        docker(&["exec", &primary[0], "touch", "/tmp/go"]);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let runners = listed(&[&format!("--filter=label={}", self.label())]);
        for runner in &runners {
            if std::thread::panicking() {
                eprintln!("---- {runner}\n{:?}", try_docker(&["logs", runner]));
            }
            let jobs = jobs_of(runner);
            for container in std::iter::once(runner).chain(&jobs) {
                let _ = try_docker(&["rm", "--force", "--volumes", container]);
            }
        }
        let base = format!("{}-base", self.image);
        let _lock = lock(IMAGES);
        let _ = try_docker(&["rmi", "--force", &self.image, &base]);
    }
}

/// Writes what the image is made of, upon its base.
fn fill(folder: &Path, base: &str) {
    std::fs::create_dir(folder).unwrap();
    std::fs::hard_link(OUTRIDER, folder.join("outrider"))
        .or_else(|_| std::fs::copy(OUTRIDER, folder.join("outrider")).map(drop))
        .unwrap();
    std::fs::copy(host_git(), folder.join("git")).unwrap();
    repository(&folder.join("code"));
    let dockerfile = format!(
        "FROM {base}\nCOPY outrider /usr/local/bin/outrider\nCOPY git /usr/bin/git\n\
         COPY git /usr/bin/git-upload-pack\nCOPY --chown=outrider code {CODE}\n"
    );
    std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
}

/// The program itself: what is on the `PATH` may stand for it.
fn host_git() -> PathBuf {
    Path::new(&git(Path::new("/"), &["--exec-path"])).join("git")
}

fn repository(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    git(directory, &["init", "--quiet"]);
    std::fs::write(directory.join("greeting"), "hello from git\n").unwrap();
    git(directory, &["add", "."]);
    git(directory, &["commit", "--quiet", "-m", "greeting"]);
}

fn owner(runner: &str) -> String {
    format!("--filter=label=outrider.owner-container={runner}")
}

fn jobs_of(runner: &str) -> Vec<String> {
    listed(&[&owner(runner)])
}

fn listed(filters: &[&str]) -> Vec<String> {
    let ps = ["ps", "--all", "--quiet", "--no-trunc"];
    let mut found: Vec<_> = docker(&[&ps, filters].concat())
        .lines()
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

/// The arguments of the processes that have this text among them.
fn arguments_with(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    let arguments = arguments.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    arguments.filter(|all| all.contains(text)).collect()
}

/// `docker` at the Engine of the tests, to a good end.
pub fn docker(arguments: &[&str]) -> String {
    docker_with(arguments, b"")
}

fn docker_with(arguments: &[&str], input: &[u8]) -> String {
    fed(docker_command().args(arguments), input)
}

fn try_docker(arguments: &[&str]) -> std::io::Result<Output> {
    docker_command().args(arguments).output()
}

fn docker_command() -> Command {
    let mut command = Command::new("docker");
    command.env("PATH", path()).env("DOCKER_HOST", engine());
    // The same builder everywhere.
    command.env("DOCKER_BUILDKIT", "0");
    command
}

/// The system's own `docker` comes first.
fn path() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    format!("/usr/bin:{}", path.to_string_lossy())
}

/// Runs a command with this input, and returns what it says.
fn fed(command: &mut Command, input: &[u8]) -> String {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let notes = utf8(output.stderr);
    assert!(output.status.success(), "{command:?}: {notes}");
    utf8(output.stdout).trim().to_owned()
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}
