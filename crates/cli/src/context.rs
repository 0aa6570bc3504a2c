//! `outrider context`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outrider_api::secrets::{ContextName, OwnerQuery};

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::show::Table;
use crate::variables::{self, EnvVerb, Owner};

/// What to do with contexts.
#[derive(Subcommand)]
pub enum ContextVerb {
    /// List contexts.
    List(ListArgs),
    /// Make a context: jobs name it in the config, with `context: NAME`.
    Create(NameArgs),
    /// Delete a context and its variables. Jobs that name it fail from then on.
    Delete(NameArgs),
    /// Secret environment variables of the jobs that name a context.
    #[command(subcommand)]
    Env(EnvVerb<ContextArgs>),
}

/// How to list.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which context.
#[derive(Args)]
pub struct NameArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Its name.
    name: String,
}

/// Whose variables.
#[derive(Args)]
pub struct ContextArgs {
    /// The context.
    #[arg(long, value_name = "NAME")]
    context: String,
}

impl Owner for ContextArgs {
    fn query(&self) -> OwnerQuery {
        OwnerQuery::context(&self.context)
    }
}

/// Does it.
pub async fn run(verb: ContextVerb) -> Result<ExitCode, Failure> {
    match verb {
        ContextVerb::List(args) => list(args).await?,
        ContextVerb::Create(args) => {
            let client = args.connection.client()?;
            let name = ContextName { name: args.name };
            client.create_context(&name).await?;
        }
        ContextVerb::Delete(args) => {
            let client = args.connection.client()?;
            let name = ContextName { name: args.name };
            client.delete_context(&name).await?;
        }
        ContextVerb::Env(verb) => variables::run(verb).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let contexts = args.connection.client()?.contexts().await?;
    if args.json {
        crate::show::json(&contexts);
        return Ok(());
    }
    let mut table = Table::new(["NAME", "VARIABLES", "MADE"]);
    for context in contexts.items {
        table.row([
            context.name,
            context.variables.to_string(),
            context.created_at.to_string(),
        ]);
    }
    table.print("There are no contexts.");
    Ok(())
}
