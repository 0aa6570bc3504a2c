//! What the Engine's own command does on this host, in the same run.

use std::io::Read;
use std::process::{Command, Stdio};

use tokio::time::Instant;

use crate::failure::{Failure, code};

/// The `docker` command, and the image of everything that is measured.
#[derive(Clone)]
pub struct DockerCommand {
    /// The program.
    pub program: String,
    /// The image.
    pub image: String,
}

/// Milliseconds of runs of one container: until its first byte, and until it is gone.
pub struct Runs {
    /// Until the first byte of its output.
    pub first_byte: Vec<f64>,
    /// Until the command returned.
    pub whole: Vec<f64>,
}

impl DockerCommand {
    /// `docker run --rm IMAGE echo hello`, one after the other.
    pub fn runs(&self, count: usize) -> Result<Runs, Failure> {
        let mut runs = Runs {
            first_byte: Vec::with_capacity(count),
            whole: Vec::with_capacity(count),
        };
        for _ in 0..count {
            let started = Instant::now();
            let mut child = self.run_echo().stdout(Stdio::piped()).spawn();
            let child = child.as_mut().map_err(|error| self.cannot_run(error))?;
            let mut byte = [0];
            let read = child
                .stdout
                .take()
                .map(|mut pipe| pipe.read_exact(&mut byte));
            runs.first_byte.push(milliseconds(started));
            let ended = child.wait().map_err(|error| self.cannot_run(&error))?;
            runs.whole.push(milliseconds(started));
            if !ended.success() || !matches!(read, Some(Ok(()))) {
                return Err(self.failed("run"));
            }
        }
        Ok(runs)
    }

    /// Seconds that so many containers take together, all started at once.
    pub fn runs_at_once(&self, count: usize) -> Result<f64, Failure> {
        let started = Instant::now();
        let children = (0..count).map(|_| self.run_echo().stdout(Stdio::null()).spawn());
        let children: Vec<_> = children.collect();
        for child in children {
            let mut child = child.map_err(|error| self.cannot_run(&error))?;
            let ended = child.wait().map_err(|error| self.cannot_run(&error))?;
            if !ended.success() {
                return Err(self.failed("run"));
            }
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// Milliseconds of `docker exec CONTAINER true`, in a container that runs already.
    pub fn execs(&self, count: usize) -> Result<Vec<f64>, Failure> {
        let name = format!("outrider-bench-{}", std::process::id());
        let sleeper = [
            "run",
            "--rm",
            "--detach",
            "--name",
            &name,
            &self.image,
            "sleep",
            "1000",
        ];
        self.finish(&sleeper)?;
        let times = (0..count).map(|_| {
            let started = Instant::now();
            self.finish(&["exec", &name, "true"])?;
            Ok(milliseconds(started))
        });
        let times = times.collect();
        self.finish(&["rm", "--force", &name])?;
        times
    }

    /// Whether anything with our label is there: what a run must not leave behind.
    pub fn containers_of(&self, label: &str) -> Result<usize, Failure> {
        let filter = format!("label={label}");
        let listed = Command::new(&self.program)
            .args(["ps", "--all", "--quiet", "--filter", &filter])
            .output()
            .map_err(|error| self.cannot_run(&error))?;
        Ok(String::from_utf8_lossy(&listed.stdout).lines().count())
    }

    fn run_echo(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--rm", &self.image, "echo", "hello"])
            .stdin(Stdio::null());
        command
    }

    fn finish(&self, arguments: &[&str]) -> Result<(), Failure> {
        let ended = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|error| self.cannot_run(&error))?;
        if ended.success() {
            return Ok(());
        }
        Err(self.failed(arguments[0]))
    }

    fn cannot_run(&self, error: &std::io::Error) -> Failure {
        let text = format!("cannot run `{}`: {error}", self.program);
        Failure::new(code::NOT_FOUND, text)
            .advise("Its runs are the floor. Name Docker's command with --docker.")
    }

    fn failed(&self, verb: &str) -> Failure {
        let text = format!(
            "`{} {verb}` failed for the image {}",
            self.program, self.image
        );
        Failure::new(code::FAILED, text)
            .advise("Its message stands above. Name an image that has `echo`, `true` and `sleep` with --image.")
    }
}

/// Milliseconds of a bare process that does nothing.
pub fn bare_processes(count: usize) -> Result<Vec<f64>, Failure> {
    let times = (0..count).map(|_| {
        let started = Instant::now();
        let ended = Command::new("/bin/true").status();
        ended.map_err(|error| Failure::internal("run /bin/true", error))?;
        Ok(milliseconds(started))
    });
    times.collect()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
