//! `outrider project`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outrider_api::secrets::{AddSshKey, OwnerQuery, ProjectQuery, SecretText, SshKeyQuery};

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::secret_input;
use crate::show::{Table, hint, say};
use crate::variables::{self, EnvVerb, Owner};

/// What a project has.
#[derive(Subcommand)]
pub enum ProjectVerb {
    /// Secret environment variables of all jobs of a project.
    #[command(subcommand)]
    Env(EnvVerb<ProjectArgs>),
    /// SSH keys for the step add_ssh_keys.
    #[command(subcommand)]
    SshKey(SshKeyVerb),
}

/// Which project.
#[derive(Args)]
pub struct ProjectArgs {
    /// The project, for example acme/shop.
    #[arg(long, value_name = "NAME")]
    project: String,
}

impl Owner for ProjectArgs {
    fn query(&self) -> OwnerQuery {
        OwnerQuery::project(&self.project)
    }
}

/// What to do with SSH keys.
#[derive(Subcommand)]
pub enum SshKeyVerb {
    /// Add a private key. Its fingerprint is printed, for the config.
    Add(AddArgs),
    /// List keys: fingerprints and public keys, never private ones.
    List(ListArgs),
    /// Delete a key.
    Delete(DeleteArgs),
}

/// Which key.
#[derive(Args)]
pub struct AddArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// The file of the private key; without it, it is read from stdin.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The host that the key is for; it is offered to no other.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

/// How to list.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which key.
#[derive(Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Its fingerprint, from `outrider project ssh-key list`.
    fingerprint: String,
}

/// Does it.
pub async fn run(verb: ProjectVerb) -> Result<ExitCode, Failure> {
    match verb {
        ProjectVerb::Env(verb) => variables::run(verb).await?,
        ProjectVerb::SshKey(SshKeyVerb::Add(args)) => add(args).await?,
        ProjectVerb::SshKey(SshKeyVerb::List(args)) => list(args).await?,
        ProjectVerb::SshKey(SshKeyVerb::Delete(args)) => delete(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(args: AddArgs) -> Result<(), Failure> {
    let query = ProjectQuery {
        project: args.project.project,
    };
    let private_key = secret_input::read("Private key", args.file.as_deref())?;
    let body = AddSshKey {
        private_key: SecretText::new(private_key),
        host: args.host,
    };
    let added = args.connection.client()?.add_ssh_key(&query, &body).await?;
    if args.json {
        crate::show::json(&added);
        return Ok(());
    }
    // Only the fingerprint goes to stdout, for scripts.
    say!("{}", added.fingerprint);
    hint!("Its public key: {}", added.public_key);
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let query = ProjectQuery {
        project: args.project.project,
    };
    let keys = args.connection.client()?.ssh_keys(&query).await?;
    if args.json {
        crate::show::json(&keys);
        return Ok(());
    }
    let mut table = Table::new(["FINGERPRINT", "MD5", "HOST", "ADDED", "PUBLIC KEY"]);
    for key in keys.items {
        table.row([
            key.fingerprint,
            key.fingerprint_md5,
            key.host.unwrap_or_else(|| "any".to_owned()),
            key.created_at.to_string(),
            key.public_key,
        ]);
    }
    table.print("There are no SSH keys.");
    Ok(())
}

async fn delete(args: DeleteArgs) -> Result<(), Failure> {
    let query = SshKeyQuery {
        project: args.project.project,
        fingerprint: args.fingerprint,
    };
    Ok(args.connection.client()?.delete_ssh_key(&query).await?)
}
