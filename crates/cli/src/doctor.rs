//! `outrider doctor`

use std::process::ExitCode;

use clap::Args;
use outrider_executor::docker::DockerExecutor;
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::{Executor, Finding, Verdict};

use crate::args::engine_address;
use crate::docker_args::DockerArgs;
use crate::failure::{Failure, code};
use crate::paths;
use crate::show::say;

/// How to print.
#[derive(Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Where the Docker Engine or Podman listens [default: DOCKER_HOST, or the usual sockets].
    #[arg(long, env = "OUTRIDER_DOCKER_HOST", value_parser = engine_address, value_name = "ADDRESS")]
    docker_host: Option<String>,
}

/// Looks at this host. It fails if no executor works.
pub async fn run(args: DoctorArgs) -> Result<ExitCode, Failure> {
    let executors = executors(&args)?;
    let mut reports = Vec::new();
    for executor in &executors {
        reports.push((executor.name(), executor.check().await));
    }
    if args.json {
        let by_name: serde_json::Map<_, _> = reports
            .iter()
            .map(|(name, findings)| ((*name).to_owned(), serde_json::json!(findings)))
            .collect();
        crate::show::json(&by_name);
    } else {
        reports
            .iter()
            .for_each(|(name, findings)| show(name, findings));
    }
    if reports.iter().any(|(_, findings)| works(findings)) {
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::from(code::FAILED))
    }
}

fn executors(args: &DoctorArgs) -> Result<[Box<dyn Executor>; 2], Failure> {
    let data = paths::runner_data()?;
    let program = std::env::current_exe().unwrap_or_default();
    let docker = DockerArgs::at(args.docker_host.clone());
    let docker = docker.settings("doctor", &program, &data.join("owners"));
    let process = ProcessSettings::new(data.join("work"), "doctor");
    Ok([
        Box::new(ProcessExecutor::new(process)),
        Box::new(DockerExecutor::new(docker)),
    ])
}

fn works(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Missing)
}

fn show(name: &str, findings: &[Finding]) {
    let verdict = if works(findings) {
        "works here"
    } else {
        "does not work here"
    };
    say!("executor {name}: {verdict}");
    findings.iter().for_each(print);
}

fn print(finding: &Finding) {
    let sign = match finding.verdict {
        Verdict::Good => "✓",
        Verdict::Limited => "!",
        Verdict::Missing => "✗",
    };
    say!("  {sign} {}: {}", finding.subject, finding.detail);
    if let Some(advice) = &finding.advice {
        say!("      {advice}");
    }
}
