//! `outrider runner`

mod install_command;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory, Subcommand};
use outrider_config::diagnostic::closest;
use outrider_service::{Shutdown, Tasks};

use crate::args::{Cli, duration};
use crate::connection::ConnectionArgs;
use crate::docker_args::DockerArgs;
use crate::failure::{Failure, code};
use crate::local_runner::{self, Settings};
use crate::paths;
use crate::show::{self, say};

/// What to do as a runner.
#[derive(Subcommand)]
pub enum RunnerVerb {
    /// Claim tasks from a server and run them, until told to end: the first SIGTERM drains, a
    /// second one stops.
    Start(Box<StartArgs>),
    /// Make a token, and print the one line that starts a runner with it, on any host. Run the line
    /// again for one more.
    InstallCommand(Box<install_command::InstallArgs>),
}

/// Every setting has one name: as a flag, as OUTRIDER_… in the environment, and in the YAML file.
/// Flags beat the environment, which beats the file.
#[derive(Args)]
pub struct StartArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// A YAML file with any of these settings, for example `slots: 4`.
    #[arg(long, env = "OUTRIDER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What you call this runner; `{container}` in it becomes the id of the container that the
    /// runner itself is in [default: the host's name].
    #[arg(long, env = "OUTRIDER_NAME", value_name = "NAME")]
    name: Option<String>,
    /// How many tasks it runs at once.
    #[arg(long, env = "OUTRIDER_SLOTS", default_value_t = 1, value_name = "N")]
    slots: usize,
    /// The folder of its spool and its working directories [default:
    /// ~/.local/share/outrider/runner]. Each runner on a host needs its own.
    #[arg(long, env = "OUTRIDER_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// In what all tasks run [default: jobs that name a docker image in containers, all others as
    /// processes].
    #[arg(long, env = "OUTRIDER_EXECUTOR", value_name = "KIND")]
    executor: Option<ExecutorKind>,
    /// A program and arguments that stand before every shell; repeat it for each word.
    #[arg(
        long,
        env = "OUTRIDER_COMMAND_PREFIX",
        value_delimiter = ' ',
        value_name = "WORD"
    )]
    command_prefix: Vec<String>,
    /// Whether the working directory of a task is removed when it has ended.
    #[arg(long, env = "OUTRIDER_CLEANUP_WORKING_DIRECTORY", default_value_t = true, action = clap::ArgAction::Set)]
    cleanup_working_directory: bool,
    /// How long a task may run.
    #[arg(long, env = "OUTRIDER_MAX_RUN_TIME", default_value = "5h", value_parser = duration)]
    max_run_time: Duration,
    /// How long the processes of a task have between TERM and KILL.
    #[arg(long, env = "OUTRIDER_STOP_GRACE", default_value = "10s", value_parser = duration)]
    stop_grace: Duration,
    /// End after this time without work.
    #[arg(long, env = "OUTRIDER_IDLE_TIMEOUT", value_parser = duration)]
    idle_timeout: Option<Duration>,
    /// End after one task.
    #[arg(long, env = "OUTRIDER_SINGLE_TASK")]
    single_task: bool,
    #[command(flatten)]
    docker: DockerArgs,
}

/// The executors that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExecutorKind {
    /// Containers of a Docker Engine or of Podman. Jobs that name no image are refused.
    Docker,
    /// Processes on the host, without the images that jobs name.
    Process,
}

/// Does it.
pub async fn run(verb: RunnerVerb) -> Result<ExitCode, Failure> {
    match verb {
        RunnerVerb::Start(args) => start(*args).await?,
        RunnerVerb::InstallCommand(args) => install_command::run(*args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(args: StartArgs) -> Result<(), Failure> {
    let shutdown = Shutdown::new();
    let settings = args.settings()?;
    let started = format!(
        "Runner {} takes {} from {}",
        settings.name,
        show::tasks_at_once(settings.slots),
        settings.server.url
    );
    let runner = local_runner::start(settings, shutdown.clone())?;
    say!("{started}");
    let tasks = Tasks::new();
    tasks.spawn(async move { shutdown.listen_to_signals().await });
    runner.ended().await
}

impl StartArgs {
    fn settings(&self) -> Result<Settings, Failure> {
        let data = self.data.clone().map_or_else(paths::runner_data, Ok)?;
        let name = local_runner::name(self.name.clone())?;
        let server = self.connection.settings()?;
        Ok(Settings {
            slots: self.slots,
            executor: self.executor,
            docker: self.docker.clone(),
            command_prefix: self.command_prefix.clone(),
            cleanup_working_directory: self.cleanup_working_directory,
            max_run_time: self.max_run_time,
            stop_grace: self.stop_grace,
            idle_timeout: self.idle_timeout,
            single_task: self.single_task,
            server: server.clone(),
            ..Settings::new(name, data, server.url, server.token)
        })
    }
}

/// Puts the settings of the YAML file that `runner start --config` names among the arguments, as
/// far as neither a flag nor the environment sets them: so they have the same names and the same
/// checks.
pub fn with_settings_file(arguments: Vec<OsString>) -> Vec<OsString> {
    match merged(&arguments) {
        Ok(Some(merged)) => merged,
        Ok(None) => arguments,
        Err(failure) => {
            failure.report();
            std::process::exit(i32::from(failure.code()));
        }
    }
}

fn merged(arguments: &[OsString]) -> Result<Option<Vec<OsString>>, Failure> {
    // What is wrong with the arguments themselves is said when they are parsed for good.
    let Ok(matches) = Cli::command().try_get_matches_from(arguments) else {
        return Ok(None);
    };
    let start = matches
        .subcommand_matches("runner")
        .and_then(|m| m.subcommand_matches("start"));
    let Some(start) = start else { return Ok(None) };
    let Some(path) = start.get_one::<PathBuf>("config") else {
        return Ok(None);
    };
    let settings = read_settings(path)?;
    let command = Cli::command();
    let known = command
        .find_subcommand("runner")
        .and_then(|c| c.find_subcommand("start"));
    let mut merged = arguments.to_vec();
    for (name, value) in settings {
        let id = name.replace('-', "_");
        let argument = known.and_then(|c| c.get_arguments().find(|a| a.get_id() == id.as_str()));
        let Some(argument) = argument.filter(|_| id != "config") else {
            return Err(unknown_setting(path, &name, known));
        };
        let set = matches!(
            start.value_source(argument.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        if !set {
            merged.extend(as_arguments(
                &name,
                &value,
                argument.get_action().takes_values(),
            ));
        }
    }
    Ok(Some(merged))
}

type SettingsFile = BTreeMap<String, Setting>;

#[derive(serde::Deserialize)]
#[serde(
    untagged,
    expecting = "a setting is text, a number, true or false, or a list of texts"
)]
enum Setting {
    Switch(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
    Group(BTreeMap<String, Self>),
}

/// Where container runners keep their limits: these keys mean the flags.
const GROUPS: [&str; 2] = ["config", "container"];

/// Settings without groups: `container: {limit_cpu: 400m}`, in `config:` or not, is
/// `container_limit_cpu: 400m`. What is below any other key keeps its path, and is unknown.
fn flat(settings: SettingsFile) -> SettingsFile {
    let mut flattened = BTreeMap::new();
    for (name, value) in settings {
        match value {
            Setting::Group(group) => {
                let inner = flat(group).into_iter();
                flattened.extend(inner.map(|(key, value)| (member(&name, &key), value)));
            }
            value => {
                flattened.insert(name, value);
            }
        }
    }
    flattened
}

fn member(group: &str, key: &str) -> String {
    match group {
        "container" if key.starts_with("limit_") => format!("container_{key}"),
        group if GROUPS.contains(&group) && !key.contains('.') => key.to_owned(),
        group => format!("{group}.{key}"),
    }
}

fn read_settings(path: &PathBuf) -> Result<SettingsFile, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            code::NOT_FOUND,
            format!("cannot read {}: {error}", path.display()),
        )
        .advise("--config names a YAML file of settings.")
    })?;
    let settings = serde_saphyr::from_str(&text).map_err(|error| {
        let error = error.to_string();
        let error = error.trim_start_matches("error: ");
        Failure::new(code::BAD_SETTINGS, format!("{}: {error}", path.display()))
            .advise("Write one setting a line, for example `slots: 4`.")
    })?;
    Ok(flat(settings))
}

fn unknown_setting(path: &std::path::Path, name: &str, start: Option<&clap::Command>) -> Failure {
    let known = start.into_iter().flat_map(clap::Command::get_arguments);
    let known: Vec<_> = known.filter_map(clap::Arg::get_long).collect();
    Failure::new(
        code::BAD_SETTINGS,
        format!("{}: there is no setting `{name}`", path.display()),
    )
    .advise(match closest(name, known.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Settings are: {}.", known.join(", ")),
    })
}

fn as_arguments(name: &str, value: &Setting, takes_value: bool) -> Vec<OsString> {
    let flag = format!("--{}", name.replace('_', "-"));
    match value {
        Setting::Switch(on) if !takes_value => on.then(|| flag.into()).into_iter().collect(),
        Setting::Switch(on) => vec![format!("{flag}={on}").into()],
        Setting::Number(number) => vec![format!("{flag}={number}").into()],
        Setting::Text(text) => vec![format!("{flag}={text}").into()],
        // There are none left in what `flat` returns.
        Setting::Group(_) => Vec::new(),
        Setting::List(words) => words
            .iter()
            .map(|word| format!("{flag}={word}").into())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Vec<String> {
        let arguments = arguments.iter().map(OsString::from).collect::<Vec<_>>();
        let merged = merged(&arguments).unwrap().unwrap();
        merged
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_flag_beats_the_file_and_both_have_the_same_names() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runner.yaml");
        std::fs::write(
            &file,
            "slots: 4\nname: box\nsingle_task: true\nmax-run-time: 1h\n",
        )
        .unwrap();
        let file = file.to_str().unwrap();
        let all = parse(&[
            "outrider", "runner", "start", "--config", file, "--slots", "2",
        ]);
        assert!(all.contains(&"--name=box".to_owned()), "{all:?}");
        assert!(all.contains(&"--single-task".to_owned()), "{all:?}");
        assert!(all.contains(&"--max-run-time=1h".to_owned()), "{all:?}");
        assert!(
            !all.iter().any(|argument| argument.starts_with("--slots=")),
            "{all:?}"
        );
    }

    #[test]
    fn limits_may_be_nested_as_for_container_runners() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runner.yaml");
        let path = file.to_str().unwrap();
        let arguments = ["outrider", "runner", "start", "--config", path];
        let container = "container: {limit_cpu: 400m, limit_memory: 650Mi, extra_limit_cpu: 1}\n";
        for text in [
            container.to_owned(),
            format!("config: {{{}}}\n", container.trim()),
        ] {
            std::fs::write(&file, &text).unwrap();
            let all = parse(&arguments);
            for wanted in [
                "--container-limit-cpu=400m",
                "--container-limit-memory=650Mi",
                "--extra-limit-cpu=1",
            ] {
                assert!(all.contains(&wanted.to_owned()), "{text}: {all:?}");
            }
        }
        for (wrong, name) in [
            ("container: {limit_gpu: 1}", "container_limit_gpu"),
            ("box: {slots: 1}", "box.slots"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let failure = merged(&arguments.map(OsString::from)).unwrap_err();
            let text = format!("{failure:?}");
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn a_wrong_setting_is_refused_with_what_may_be_meant() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runner.yaml");
        let path = file.to_str().unwrap();
        for (written, said, advice) in [
            (
                "warm-images: [a]\n",
                "there is no setting `warm-images`",
                "mean `warm-image`?",
            ),
            (
                "warm_image: [a, 3]\n",
                "a setting is text, a number",
                "one setting a line",
            ),
            (
                "colour: red\n",
                "there is no setting `colour`",
                "Settings are: url, ",
            ),
        ] {
            std::fs::write(&file, written).unwrap();
            let arguments = ["outrider", "runner", "start", "--config", path];
            let failure = merged(&arguments.map(OsString::from)).unwrap_err();
            let text = failure.text();
            assert!(text.contains(said) && text.contains(advice), "{text}");
        }
    }
}
