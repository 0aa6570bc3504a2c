//! `outrider project env` and `outrider context env`: variables, whose values go in and never come
//! out.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use outrider_api::secrets::{OwnerQuery, SecretText, SetVariable, VariableQuery};

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::secret_input;
use crate::show::Table;

/// Whose variables, as the command line says it.
pub trait Owner {
    /// As the API says it.
    fn query(&self) -> OwnerQuery;
}

/// What to do with variables.
#[derive(Subcommand)]
pub enum EnvVerb<O: Args> {
    /// List variables: names and dates, never values.
    List(ListArgs<O>),
    /// Set a variable. The value is read from stdin, or asked for on a terminal.
    Set(SetArgs<O>),
    /// Delete a variable.
    Delete(DeleteArgs<O>),
}

/// How to list.
#[derive(Args)]
pub struct ListArgs<O: Args> {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    owner: O,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which variable, and where its value is.
#[derive(Args)]
pub struct SetArgs<O: Args> {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    owner: O,
    /// Its name.
    name: String,
    /// Read the value from this file.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// Which variable.
#[derive(Args)]
pub struct DeleteArgs<O: Args> {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    owner: O,
    /// Its name.
    name: String,
}

/// Does it.
pub async fn run<O: Args + Owner>(verb: EnvVerb<O>) -> Result<(), Failure> {
    match verb {
        EnvVerb::List(args) => list(&args).await,
        EnvVerb::Set(args) => set(args).await,
        EnvVerb::Delete(args) => delete(args).await,
    }
}

async fn list<O: Args + Owner>(args: &ListArgs<O>) -> Result<(), Failure> {
    let client = args.connection.client()?;
    let variables = client.variables(&args.owner.query()).await?;
    if args.json {
        crate::show::json(&variables);
        return Ok(());
    }
    let mut table = Table::new(["NAME", "SET", "KEY"]);
    for variable in variables.items {
        table.row([
            variable.name,
            variable.updated_at.to_string(),
            variable.key_id,
        ]);
    }
    table.print("There are no variables.");
    Ok(())
}

async fn set<O: Args + Owner>(args: SetArgs<O>) -> Result<(), Failure> {
    let what = format!("Value of {}", args.name);
    let value = secret_input::read(&what, args.from_file.as_deref())?;
    let variable = SetVariable {
        name: args.name,
        value: SecretText::new(value),
    };
    let client = args.connection.client()?;
    Ok(client.set_variable(&args.owner.query(), &variable).await?)
}

async fn delete<O: Args + Owner>(args: DeleteArgs<O>) -> Result<(), Failure> {
    let OwnerQuery { project, context } = args.owner.query();
    let query = VariableQuery {
        project,
        context,
        name: args.name,
    };
    Ok(args.connection.client()?.delete_variable(&query).await?)
}
