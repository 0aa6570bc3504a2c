//! Secrets.

use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;
use reqwest::Method;

use super::{Client, Result};
use crate::data::TaskSecrets;
use crate::paths::LEASE_HEADER;
use crate::secrets::{
    AddSshKey, ContextList, ContextName, OwnerQuery, ProjectQuery, RotateSecrets, RotatedSecrets,
    SealingKeys, SetVariable, SshKeyInfo, SshKeyList, SshKeyQuery, VariableList, VariableQuery,
};

impl Client {
    /// Lists the variables of a project or a context.
    pub async fn variables(&self, owner: &OwnerQuery) -> Result<VariableList> {
        self.call(self.request(Method::GET, "/variables").query(owner))
            .await
    }

    /// Sets a variable of a project or a context.
    pub async fn set_variable(&self, owner: &OwnerQuery, body: &SetVariable) -> Result<()> {
        let request = self.request(Method::PUT, "/variables");
        self.send(request.query(owner).json(body)).await.map(drop)
    }

    /// Deletes a variable.
    pub async fn delete_variable(&self, query: &VariableQuery) -> Result<()> {
        self.send(self.request(Method::DELETE, "/variables").query(query))
            .await
            .map(drop)
    }

    /// Lists contexts.
    pub async fn contexts(&self) -> Result<ContextList> {
        self.get("/contexts").await
    }

    /// Makes a context, unless it is there.
    pub async fn create_context(&self, body: &ContextName) -> Result<()> {
        self.send(self.request(Method::POST, "/contexts").json(body))
            .await
            .map(drop)
    }

    /// Deletes a context and its variables.
    pub async fn delete_context(&self, query: &ContextName) -> Result<()> {
        self.send(self.request(Method::DELETE, "/contexts").query(query))
            .await
            .map(drop)
    }

    /// Lists the SSH keys of a project.
    pub async fn ssh_keys(&self, query: &ProjectQuery) -> Result<SshKeyList> {
        self.call(self.request(Method::GET, "/ssh-keys").query(query))
            .await
    }

    /// Adds an SSH key to a project.
    pub async fn add_ssh_key(&self, query: &ProjectQuery, body: &AddSshKey) -> Result<SshKeyInfo> {
        let request = self.request(Method::POST, "/ssh-keys");
        self.call(request.query(query).json(body)).await
    }

    /// Deletes an SSH key.
    pub async fn delete_ssh_key(&self, query: &SshKeyQuery) -> Result<()> {
        self.send(self.request(Method::DELETE, "/ssh-keys").query(query))
            .await
            .map(drop)
    }

    /// The keys that seal secrets.
    pub async fn sealing_keys(&self) -> Result<SealingKeys> {
        self.get("/secrets/keys").await
    }

    /// Seals some secrets anew, with the newest key.
    pub async fn rotate_secrets(&self, body: RotateSecrets) -> Result<RotatedSecrets> {
        self.call(self.request(Method::POST, "/secrets/rotate").json(&body))
            .await
    }

    /// The secrets of a task, for the holder of its lease.
    pub async fn task_secrets(&self, task: TaskId, lease: LeaseToken) -> Result<TaskSecrets> {
        let request = self.request(Method::GET, &format!("/runner/tasks/{task}/secrets"));
        self.call(request.header(LEASE_HEADER, lease.to_string()))
            .await
    }
}
