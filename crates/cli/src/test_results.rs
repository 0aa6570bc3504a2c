//! `outrider tests`

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use outrider_api::client::Client;
use outrider_api::outputs::{JobTests, Test, TestsQuery};
use outrider_model::JobId;

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::show::{self, say};

/// Which tests.
#[derive(Args)]
pub struct TestsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The job's id, from `outrider pipeline show`.
    job: JobId,
    /// All tests, not only those that failed.
    #[arg(long)]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows them.
pub async fn run(args: TestsArgs) -> Result<ExitCode, Failure> {
    let client = args.connection.client()?;
    let tests = fetch(&client, args.job, !args.all).await?;
    if args.json {
        show::json(&tests);
        return Ok(ExitCode::SUCCESS);
    }
    if tests.total == 0 {
        say!("It has stored no test results. The step store_test_results does that.");
        return Ok(ExitCode::SUCCESS);
    }
    for test in &tests.tests {
        print(test);
    }
    say!("{}", summary(&tests));
    Ok(ExitCode::SUCCESS)
}

/// All tests of a job that fit, page by page.
pub async fn fetch(client: &Client, job: JobId, failed: bool) -> Result<JobTests, Failure> {
    let mut query = TestsQuery {
        failed,
        ..TestsQuery::default()
    };
    let mut all = client.tests(job, &query).await?;
    while all.more {
        query.offset = all.tests.len() as u64;
        let next = client.tests(job, &query).await?;
        // A job that is still running may have stored others meanwhile.
        all.more = next.more && !next.tests.is_empty();
        all.tests.extend(next.tests);
    }
    Ok(all)
}

/// One test, with its message below it.
pub fn print(test: &Test) {
    let sign = match test.outcome.as_str() {
        "passed" => "✓",
        "skipped" => "·",
        _ => "✗",
    };
    let class = match test.classname.as_str() {
        "" => String::new(),
        class => format!("{} › ", show::plain(class)),
    };
    let reruns = match test.reruns {
        0 => String::new(),
        1 => ", run again once".to_owned(),
        times => format!(", run again {times} times"),
    };
    let (outcome, seconds) = (&test.outcome, test.seconds);
    say!(
        "{sign} {class}{} ({outcome}, {seconds:.3}s{reruns})",
        show::plain(&test.name)
    );
    if let Some(file) = &test.file {
        say!("    {}", show::plain(file));
    }
    let message = test.message.as_deref().unwrap_or_default();
    for line in message.trim_end().lines() {
        say!("    {}", show::plain(line));
    }
}

/// How many there are, in a line.
pub fn summary(tests: &JobTests) -> String {
    let time = show::time(Duration::from_millis(tests.millis));
    let word = if tests.total == 1 { "test" } else { "tests" };
    format!(
        "{} {word} in {time}: {} failed, {} skipped",
        tests.total, tests.failed, tests.skipped
    )
}
