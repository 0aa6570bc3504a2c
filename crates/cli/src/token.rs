//! `outrider token`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outrider_api::tokens::{CreateToken, Token, TokenScope};
use outrider_model::{ClassName, TokenId};

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::show::{Table, hint, say};

/// What to do with tokens.
#[derive(Subcommand)]
pub enum TokenVerb {
    /// Make a token: for runners of a class, or for a person or script. It is shown this once.
    Create(CreateArgs),
    /// List tokens.
    List(ListArgs),
    /// Revoke a token: it is good no longer at once.
    Revoke(RevokeArgs),
}

/// What the token is for.
#[derive(Args)]
pub struct CreateArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The resource class whose runners use it, for example acme/linux. It exists from its first
    /// token on.
    #[arg(
        long,
        required_unless_present = "admin",
        conflicts_with = "admin",
        value_name = "CLASS"
    )]
    class: Option<ClassName>,
    /// A token that may do everything.
    #[arg(long)]
    admin: bool,
    /// What you call it.
    #[arg(long, default_value = "", value_name = "NAME")]
    nickname: String,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
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

/// Which token.
#[derive(Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Its id, from `outrider token list`.
    id: TokenId,
}

/// Does it.
pub async fn run(verb: TokenVerb) -> Result<ExitCode, Failure> {
    match verb {
        TokenVerb::Create(args) => create(args).await?,
        TokenVerb::List(args) => list(args).await?,
        TokenVerb::Revoke(args) => args.connection.client()?.revoke_token(args.id).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let scope = match args.class {
        Some(class) => TokenScope::Class { class },
        None => TokenScope::Admin {},
    };
    let request = CreateToken {
        scope,
        nickname: args.nickname,
    };
    let created = args.connection.client()?.create_token(&request).await?;
    if args.json {
        crate::show::json(&created);
        return Ok(());
    }
    // Only the token goes to stdout, so that `TOKEN=$(outrider token create …)` works.
    say!("{}", created.token);
    hint!(
        "This is shown once. Revoke it with `outrider token revoke {}`.",
        created.record.id
    );
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let tokens = args.connection.client()?.tokens().await?;
    if args.json {
        crate::show::json(&tokens);
        return Ok(());
    }
    let mut table = Table::new(["ID", "FOR", "NICKNAME", "STARTS WITH", "MADE", "REVOKED"]);
    for token in &tokens.items {
        table.row([
            token.id.to_string(),
            purpose(token),
            token.nickname.clone(),
            format!("{}…", token.hint),
            token.created_at.to_string(),
            token
                .revoked_at
                .map_or_else(String::new, |at| at.to_string()),
        ]);
    }
    table.print("There are no tokens.");
    Ok(())
}

fn purpose(token: &Token) -> String {
    match &token.scope {
        TokenScope::Admin {} => "everything".to_owned(),
        TokenScope::Class { class } => class.to_string(),
    }
}
