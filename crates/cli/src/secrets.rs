//! `outrider secrets`: the keys that seal secrets.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outrider_api::secrets::{KeyRole, RotateSecrets, RotatedSecrets};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, code};
use crate::show::{Table, say};

/// What to do with the keys.
#[derive(Subcommand)]
pub enum SecretsVerb {
    /// Seal all secrets anew with the server's newest key. After it the older ones can go.
    #[command(after_help = "\
To change the key: write a new one (`openssl rand -base64 32`) above the old one in the server's file \
of keys, start the server again, run `outrider secrets rotate`, take the old key out of the file, and \
start the server once more.")]
    Rotate(KeysArgs),
    /// Show which keys have sealed how many secrets.
    Status(KeysArgs),
}

/// How to show it.
#[derive(Args)]
pub struct KeysArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Does it.
pub async fn run(verb: SecretsVerb) -> Result<ExitCode, Failure> {
    match verb {
        SecretsVerb::Rotate(args) => rotate(args).await?,
        SecretsVerb::Status(args) => status(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Stopped in between, it goes on where it was when it is started again: what is sealed by the
/// newest key is not looked at.
async fn rotate(args: KeysArgs) -> Result<(), Failure> {
    let client = args.connection.client()?;
    let mut sum = RotatedSecrets::default();
    let mut after = Some(0);
    while let Some(from) = after {
        let some = client.rotate_secrets(RotateSecrets { after: from }).await?;
        sum.resealed += some.resealed;
        sum.unusable += some.unusable;
        after = some.next;
    }
    match args.json {
        true => crate::show::json(&sum),
        false => say!("{} sealed anew.", secrets(sum.resealed)),
    }
    if sum.unusable == 0 {
        return Ok(());
    }
    let message = format!("{} could not be opened", secrets(sum.unusable));
    Err(Failure::new(code::FAILED, message).advise(
        "`outrider secrets status` shows the keys that the server lacks: give it those, or set these \
         secrets again.",
    ))
}

async fn status(args: KeysArgs) -> Result<(), Failure> {
    let keys = args.connection.client()?.sealing_keys().await?;
    if args.json {
        crate::show::json(&keys);
        return Ok(());
    }
    let mut table = Table::new(["KEY", "SECRETS", "WHAT IT DOES"]);
    for key in keys.items {
        let role = match key.role {
            KeyRole::Seals => "seals and opens",
            KeyRole::Opens => "opens what it has sealed",
            KeyRole::Lost => "the server does not have it: these secrets cannot be used",
        };
        table.row([key.id, key.secrets.to_string(), role.to_owned()]);
    }
    table.print("There are no keys.");
    Ok(())
}

fn secrets(number: u64) -> String {
    match number {
        1 => "1 secret".to_owned(),
        many => format!("{many} secrets"),
    }
}
