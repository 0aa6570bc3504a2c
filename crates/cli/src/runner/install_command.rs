//! `outrider runner install-command`

use std::net::IpAddr;

use clap::Args;
use outrider_api::tokens::{CreateToken, CreatedToken, TokenScope};
use outrider_model::{ClassName, TokenId};
use reqwest::Url;
use serde::Serialize;
use shell_words::quote;

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, code};
use crate::local_runner::CONTAINER;
use crate::show::{hint, say};

/// What `docker build -t outrider .` makes of the Dockerfile in this project.
const IMAGE: &str = "outrider";
/// Where an Engine listens, on its host and in the runner's container.
const SOCKET: &str = "/var/run/docker.sock";
/// Where the runner's container has the certificates to trust.
const CA_FILE: &str = "/etc/outrider/ca.pem";
/// What the runner's container needs, and nothing above that. `docker stop` drains: it waits, in
/// seconds, for as long as a task may run by default.
const CONFINED: &str = "--detach --restart unless-stopped --stop-timeout 18060 --init --read-only \
                        --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges";

/// What kind of runner.
#[derive(Args)]
pub struct InstallArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The resource class that it serves, for example acme/linux. It exists from its first token
    /// on.
    #[arg(long, value_name = "CLASS")]
    class: ClassName,
    /// Start it in a container, at an Engine whose socket it gets. Jobs are containers beside it.
    #[arg(long)]
    docker: bool,
    /// The server's URL as the runner reaches it [default: that of --url].
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// What you call it. In a container the id of the container is appended [default: the host's
    /// name].
    #[arg(long, value_name = "PREFIX")]
    name: Option<String>,
    /// How many tasks it runs at once [default: 1].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    slots: Option<u32>,
    /// The image with this program [default: outrider].
    #[arg(long, requires = "docker", value_name = "IMAGE")]
    image: Option<String>,
    /// The Engine's socket on the host [default: /var/run/docker.sock].
    #[arg(long, requires = "docker", value_parser = socket_path, value_name = "PATH")]
    socket: Option<String>,
    /// Print JSON: the command, and the id of its token.
    #[arg(long)]
    json: bool,
    /// More for `docker run`, for example `-- --network ci --env OUTRIDER_PULL=always`.
    #[arg(last = true, requires = "docker", value_name = "ARGUMENT")]
    more: Vec<String>,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Installation<'a> {
    command: &'a str,
    token_id: TokenId,
    class: &'a ClassName,
}

/// Makes a token, and prints the line that starts a runner with it.
pub async fn run(args: InstallArgs) -> Result<(), Failure> {
    let server = args.server()?;
    let ca_file = args.ca_file()?;
    let created = args.create_token().await?;
    let line = match args.docker {
        true => args.docker_line(&server, ca_file.as_deref(), &created.token),
        false => args.plain_line(&server, ca_file.as_deref(), &created.token),
    };
    if args.json {
        crate::show::json(&Installation {
            command: &line,
            token_id: created.record.id,
            class: &args.class,
        });
        return Ok(());
    }
    // Only the line goes to stdout, so that `outrider runner install-command … | ssh host sh` works.
    say!("{line}");
    args.explain(&server, &created);
    Ok(())
}

impl InstallArgs {
    fn server(&self) -> Result<Url, Failure> {
        let given = self.server.as_ref().unwrap_or(&self.connection.url);
        let url = Url::parse(given).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::new(
                    code::BAD_SETTINGS,
                    format!("`{given}` is not a server's URL"),
                )
                .advise("Write for example --server https://ci.example.com.")
            })
    }

    fn ca_file(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.connection.ca_file else {
            return Ok(None);
        };
        let whole = std::path::absolute(path).ok();
        let text = whole.and_then(|path| path.into_os_string().into_string().ok());
        text.map(Some).ok_or_else(|| {
            let message = format!("{} has no name that can be printed", path.display());
            Failure::new(code::BAD_SETTINGS, message).advise("Rename the file.")
        })
    }

    async fn create_token(&self) -> Result<CreatedToken, Failure> {
        let how = if self.docker { " in containers" } else { "" };
        let request = CreateToken {
            scope: TokenScope::Class {
                class: self.class.clone(),
            },
            nickname: format!("runners of {}{how}", self.class),
        };
        Ok(self.connection.client()?.create_token(&request).await?)
    }

    /// The token is in the environment of `docker`, never among its arguments.
    fn docker_line(&self, server: &Url, ca_file: Option<&str>, token: &str) -> String {
        let socket = &self.socket;
        let engine = socket.as_ref().map(|path| format!("unix://{path}"));
        let engine = engine.map(|address| format!(" --host {}", quote(&address)));
        let mut words = vec![
            format!("OUTRIDER_TOKEN={}", quote(token)),
            format!("docker{} run {CONFINED}", engine.unwrap_or_default()),
        ];
        words.extend(self.socket_words(socket.as_deref().unwrap_or(SOCKET)));
        if is_loopback(server) && !self.has_network() {
            words.push("--network host".to_owned());
        }
        if let Some(path) = ca_file {
            let mount = format!("type=bind,source={path},target={CA_FILE},readonly");
            words.push(format!("--mount {}", quote(&mount)));
            words.push(format!("--env OUTRIDER_CA_FILE={CA_FILE}"));
        }
        words.push("--env OUTRIDER_TOKEN".to_owned());
        words.push(variable("OUTRIDER_URL", shown(server)));
        words.push(self.container_name());
        words.extend(self.slots.map(|n| format!("--env OUTRIDER_SLOTS={n}")));
        let label = format!("outrider.class={}", self.class);
        words.push(format!("--label {}", quote(&label)));
        words.extend(self.more.iter().map(|word| quote(word).into_owned()));
        words.push(quote(self.image.as_deref().unwrap_or(IMAGE)).into_owned());
        words.join(" ")
    }

    /// The socket, and the group that may use it: the runner is not root.
    fn socket_words(&self, socket: &str) -> [String; 2] {
        let mount = format!("type=bind,source={socket},target={SOCKET}");
        [
            format!("--mount {}", quote(&mount)),
            format!("--group-add \"$(stat -L -c %g {})\"", quote(socket)),
        ]
    }

    /// Another one for each instance: each has a container of its own.
    fn container_name(&self) -> String {
        match &self.name {
            Some(prefix) => variable("OUTRIDER_NAME", &format!("{prefix}-{CONTAINER}")),
            None => format!("--env OUTRIDER_NAME=\"$(uname -n)-{CONTAINER}\""),
        }
    }

    fn has_network(&self) -> bool {
        let is_network = |word: &String| word.starts_with("--net");
        self.more.iter().any(is_network)
    }

    fn plain_line(&self, server: &Url, ca_file: Option<&str>, token: &str) -> String {
        let mut words = vec![
            format!("OUTRIDER_TOKEN={}", quote(token)),
            format!("outrider runner start --url {}", quote(shown(server))),
        ];
        let options = [("--ca-file", ca_file), ("--name", self.name.as_deref())];
        for (option, value) in options {
            words.extend(value.map(|value| format!("{option} {}", quote(value))));
        }
        words.extend(self.slots.map(|n| format!("--slots {n}")));
        words.join(" ")
    }

    fn explain(&self, server: &Url, created: &CreatedToken) {
        let id = created.record.id;
        hint!("The token in it is shown once. Revoke it with `outrider token revoke {id}`.");
        if !self.docker {
            hint!("A second runner on the same host needs a folder of its own: add --data DIR.");
            return;
        }
        hint!("Run the line again for one more runner, on this host or on another one.");
        hint!("The runner gets the Engine's socket, and with it the rights of root on its host.");
        if is_loopback(server) && !self.has_network() {
            hint!("The server is on loopback: the runner shares the network of its host.");
        }
        if let Some(path) = &self.connection.ca_file {
            hint!("{} must be on the runner's host, too.", path.display());
        }
    }
}

fn socket_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is no path of a socket on the runner's host: write for example \
         /run/user/1000/docker.sock"
    ))
}

fn variable(name: &str, value: &str) -> String {
    format!("--env {}", quote(&format!("{name}={value}")))
}

fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: InstallArgs,
    }

    fn parse(arguments: &[&str]) -> Result<InstallArgs, clap::Error> {
        let class = ["outrider", "--class", "acme/linux"];
        let line = Line::try_parse_from(class.iter().chain(arguments));
        line.map(|line| line.args)
    }

    fn line(arguments: &[&str]) -> String {
        let args = parse(arguments).expect("arguments");
        let (server, ca_file) = (args.server().expect("a URL"), args.ca_file());
        let ca_file = ca_file.expect("a file");
        match args.docker {
            true => args.docker_line(&server, ca_file.as_deref(), "outrider_class_x"),
            false => args.plain_line(&server, ca_file.as_deref(), "outrider_class_x"),
        }
    }

    #[test]
    fn the_line_is_one_that_a_shell_takes_as_it_is_meant() {
        let line = line(&[
            "--docker",
            "--server=https://ci.example.com",
            "--name=it's $HOME",
            "--slots=2",
            "--",
            "--label",
            "a b",
        ]);
        assert!(
            line.starts_with("OUTRIDER_TOKEN=outrider_class_x docker run "),
            "{line}"
        );
        assert!(
            !line.contains('\n') && !line.contains("--network"),
            "{line}"
        );
        let words = shell_words::split(&line).expect("a shell understands it");
        for wanted in [
            "OUTRIDER_NAME=it's $HOME-{container}",
            "OUTRIDER_URL=https://ci.example.com",
            "OUTRIDER_TOKEN",
            "OUTRIDER_SLOTS=2",
            "outrider.class=acme/linux",
            "a b",
        ] {
            assert!(words.iter().any(|word| word == wanted), "{wanted}: {line}");
        }
        assert_eq!(words.last().map(String::as_str), Some("outrider"));
        assert_eq!(line.matches("outrider_class_x").count(), 1, "{line}");
    }

    #[test]
    fn a_server_on_loopback_is_reached_through_the_hosts_network() {
        for url in [
            "http://127.0.0.1:8080",
            "http://[::1]:80",
            "http://localhost",
        ] {
            let server = format!("--server={url}");
            assert!(
                line(&["--docker", &server]).contains("--network host"),
                "{url}"
            );
            let own = line(&["--docker", &server, "--", "--network=ci"]);
            assert!(!own.contains("--network host"), "{own}");
        }
    }

    #[test]
    fn another_socket_is_named_to_docker_too() {
        let line = line(&["--docker", "--socket=/run/e.sock"]);
        for wanted in [
            "docker --host unix:///run/e.sock run",
            "source=/run/e.sock,target=/var/run/docker.sock",
            "stat -L -c %g /run/e.sock",
        ] {
            assert!(line.contains(wanted), "{wanted}: {line}");
        }
        for wrong in [
            "--socket=unix:///run/e.sock",
            "--socket=e.sock",
            "--socket=",
        ] {
            assert!(parse(&["--docker", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_docker_it_is_the_program_itself() {
        let line = line(&[
            "--url=https://ci.example.com",
            "--name=a b",
            "--ca-file=/ca.pem",
        ]);
        let wanted = "OUTRIDER_TOKEN=outrider_class_x outrider runner start \
                      --url https://ci.example.com --ca-file /ca.pem --name 'a b'";
        assert_eq!(line, wanted);
        for only_docker in ["--image=x", "--socket=/x"] {
            assert!(parse(&[only_docker]).is_err());
        }
        assert!(parse(&["--", "--network=ci"]).is_err());
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for wrong in ["ci.example.com", "ftp://ci.example.com", "http://", ""] {
            let args = parse(&["--docker", &format!("--server={wrong}")]).expect("arguments");
            assert!(args.server().is_err(), "{wrong}");
        }
    }
}
