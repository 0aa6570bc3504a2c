//! `outrider doctor`

use std::process::ExitCode;

use clap::Args;
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::{Executor, Finding, Verdict};

use crate::failure::{Failure, code};
use crate::paths;
use crate::show::say;

/// How to print.
#[derive(Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Looks at this host. It fails if an executor lacks something.
pub async fn run(args: DoctorArgs) -> Result<ExitCode, Failure> {
    let root = paths::runner_data()?.join("work");
    let executor = ProcessExecutor::new(ProcessSettings::new(root, "doctor"));
    let findings = executor.check().await;
    if args.json {
        crate::show::json(&serde_json::json!({ executor.name(): findings }));
    } else {
        say!("executor {}", executor.name());
        findings.iter().for_each(print);
    }
    let missing = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Missing);
    Ok(if missing {
        ExitCode::from(code::FAILED)
    } else {
        ExitCode::SUCCESS
    })
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
