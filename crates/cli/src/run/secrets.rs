//! Secrets of a local run: kept sealed by a key that nobody has when the run is over.

use std::path::{Path, PathBuf};

use outrider_api::client::Client;
use outrider_api::secrets::{
    Context, ContextName, OwnerQuery, SecretText, SetVariable, VariableQuery,
};
use outrider_model::plan::Plan;

use super::project::read_env_file;
use crate::failure::Failure;
use crate::show::hint;

/// What a run is given.
pub struct Secrets {
    /// Variables of the project.
    project: Vec<(String, String)>,
    /// Contexts with their variables.
    contexts: Vec<(String, Vec<(String, String)>)>,
}

impl Secrets {
    /// Reads them.
    pub fn read(files: &[PathBuf], contexts: &[(String, String)]) -> Result<Self, Failure> {
        let project: Result<Vec<_>, _> = files.iter().map(|file| read_env_file(file)).collect();
        let contexts = contexts.iter().map(|(name, file)| {
            let variables = read_env_file(Path::new(file))?;
            Ok((name.clone(), variables))
        });
        Ok(Self {
            project: project?.into_iter().flatten().collect(),
            contexts: contexts.collect::<Result<_, Failure>>()?,
        })
    }

    /// Says which contexts jobs name and nobody gave.
    pub fn note_missing(&self, plan: &Plan) {
        let jobs = plan.workflows.iter().flat_map(|workflow| &workflow.jobs);
        let mut named: Vec<&String> = jobs.flat_map(|job| &job.contexts).collect();
        named.sort();
        named.dedup();
        let given = |name: &&String| self.contexts.iter().any(|(known, _)| known == *name);
        for name in named.into_iter().filter(|name| !given(name)) {
            hint!(
                "note: there is no context \"{name}\" here: jobs run without its variables. Give them \
                 with --context {name}=FILE"
            );
        }
    }

    /// Gives them to the server of the run, in the place of what an earlier run was given.
    pub async fn give(&self, client: &Client, project: &str) -> Result<(), Failure> {
        forget(client, project).await?;
        set(client, &OwnerQuery::project(project), &self.project).await?;
        for (name, variables) in &self.contexts {
            let context = ContextName { name: name.clone() };
            client.create_context(&context).await?;
            set(client, &OwnerQuery::context(name), variables).await?;
        }
        Ok(())
    }
}

/// What an earlier run of the folder was given is sealed by a key that is gone.
async fn forget(client: &Client, project: &str) -> Result<(), Failure> {
    for Context { name, .. } in client.contexts().await?.items {
        client.delete_context(&ContextName { name }).await?;
    }
    let project = OwnerQuery::project(project);
    for variable in client.variables(&project).await?.items {
        let query = VariableQuery {
            project: project.project.clone(),
            context: None,
            name: variable.name,
        };
        client.delete_variable(&query).await?;
    }
    Ok(())
}

async fn set(
    client: &Client,
    owner: &OwnerQuery,
    variables: &[(String, String)],
) -> Result<(), Failure> {
    for (name, value) in variables {
        let variable = SetVariable {
            name: name.clone(),
            value: SecretText::new(value),
        };
        client.set_variable(owner, &variable).await?;
    }
    Ok(())
}
