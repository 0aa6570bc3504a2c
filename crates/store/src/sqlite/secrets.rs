//! Secrets, sealed.

use async_trait::async_trait;
use outrider_model::secret::LeaseToken;
use outrider_model::{IllegalTransition, TaskId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteStore;
use super::fault::{Fault, Res};
use super::ids::job_of;
use super::rows::{Held, Millis, time};
use super::store::NO_TIME;
use super::tx::Tx;
use crate::{
    ContextRecord, MOST_CONTEXTS, Resealed, Result, Sealed, SealedSecret, SecretId, SecretKeyUse,
    SecretKind, SecretOwner, SecretRecord, SecretStore, SecretsOfTask, StoredSecret,
};

#[async_trait]
impl SecretStore for SqliteStore {
    async fn put_secret(&self, new: SealedSecret, now: Timestamp) -> Result<()> {
        self.writer
            .write("put-secret", now, move |tx| tx.put_secret(&new))
            .await
    }

    async fn secrets(&self, owner: SecretOwner, kind: SecretKind) -> Result<Vec<SecretRecord>> {
        self.readers
            .brief("list secrets", move |db| list(db, &owner, kind))
            .await
    }

    async fn delete_secret(&self, id: SecretId) -> Result<()> {
        self.writer
            .write("delete-secret", NO_TIME, move |tx| tx.delete_secret(&id))
            .await
    }

    async fn create_context(&self, name: String, now: Timestamp) -> Result<()> {
        self.writer
            .write("create-context", now, move |tx| tx.create_context(&name))
            .await
    }

    async fn contexts(&self) -> Result<Vec<ContextRecord>> {
        self.readers.brief("list contexts", contexts).await
    }

    async fn delete_context(&self, name: String) -> Result<()> {
        self.writer
            .write("delete-context", NO_TIME, move |tx| {
                tx.delete_context(&name)
            })
            .await
    }

    async fn task_secrets(&self, task: TaskId, lease: LeaseToken) -> Result<SecretsOfTask> {
        let hash = lease.hash();
        self.readers
            .brief("find the secrets of a task", move |db| {
                of_task(db, task, &hash)
            })
            .await
    }

    async fn secret_keys(&self) -> Result<Vec<SecretKeyUse>> {
        self.readers.brief("count secrets", keys).await
    }

    async fn secrets_not_sealed_by(
        &self,
        key_id: String,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredSecret>> {
        self.readers
            .brief("find secrets", move |db| {
                not_sealed_by(db, &key_id, after, limit)
            })
            .await
    }

    async fn reseal(&self, resealed: Vec<Resealed>) -> Result<u64> {
        self.writer
            .write("reseal", NO_TIME, move |tx| tx.reseal(&resealed))
            .await
    }
}

/// Whose secrets, as the table knows it.
struct Owner {
    /// The column that names the owner.
    column: &'static str,
    row: i64,
}

impl Owner {
    /// A context has to be there; a project that is not there has no secrets.
    fn find(db: &Connection, owner: &SecretOwner) -> Res<Option<Self>> {
        let (column, name) = match owner {
            SecretOwner::Project(name) => ("project", name),
            SecretOwner::Context(name) => ("context", name),
        };
        let mut find = db.prepare_cached(&format!("SELECT id FROM {column} WHERE name = ?1"))?;
        let row = find.query_row([name], |row| row.get(0)).optional()?;
        if row.is_none() && matches!(owner, SecretOwner::Context(_)) {
            return Err(Fault::not_found("context", name));
        }
        Ok(row.map(|row| Self { column, row }))
    }
}

const fn code(kind: SecretKind) -> u8 {
    match kind {
        SecretKind::Variable => 0,
        SecretKind::SshKey => 1,
    }
}

fn kind(code: u8) -> Res<SecretKind> {
    match code {
        0 => Ok(SecretKind::Variable),
        1 => Ok(SecretKind::SshKey),
        other => Err(Fault::damaged(format!("{other} is no kind of secret"))),
    }
}

impl Tx<'_> {
    /// Keeps a secret.
    pub fn put_secret(&mut self, new: &SealedSecret) -> Res<()> {
        let id = &new.id;
        if let SecretOwner::Project(name) = &id.owner {
            let mut insert = self.db.prepare_cached(
                "INSERT INTO project (name, pipelines, jobs) VALUES (?1, 0, 0) \
                 ON CONFLICT DO NOTHING",
            )?;
            insert.execute([name])?;
        }
        let owner = Owner::find(self.db, &id.owner)?
            .ok_or_else(|| Fault::damaged("a project that was just made is not there"))?;
        let column = owner.column;
        let mut upsert = self.db.prepare_cached(&format!(
            "INSERT INTO secret ({column}, kind, name, facts, key_id, sealed, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) \
             ON CONFLICT ({column}, kind, name) WHERE {column} IS NOT NULL DO UPDATE SET \
             facts = ?4, key_id = ?5, sealed = ?6, updated_at = ?7"
        ))?;
        upsert.execute(params![
            owner.row,
            code(id.kind),
            &id.name,
            new.facts.as_deref(),
            &new.sealed.key_id,
            &new.sealed.bytes,
            Millis(self.now),
        ])?;
        self.check_number(id, &owner)
    }

    fn check_number(&self, id: &SecretId, owner: &Owner) -> Res<()> {
        let mut count = self.db.prepare_cached(&format!(
            "SELECT count(*) FROM secret WHERE {} = ?1 AND kind = ?2",
            owner.column
        ))?;
        let number: u32 = count.query_row((owner.row, code(id.kind)), |row| row.get(0))?;
        let most = id.owner.most_secrets();
        if number <= most {
            return Ok(());
        }
        Err(Fault::conflict(match id.kind {
            SecretKind::Variable => format!("a {} has at most {most} variables", owner.column),
            SecretKind::SshKey => format!("a {} has at most {most} SSH keys", owner.column),
        }))
    }

    /// Forgets a secret.
    pub fn delete_secret(&self, id: &SecretId) -> Res<()> {
        let what = match id.kind {
            SecretKind::Variable => "variable",
            SecretKind::SshKey => "SSH key",
        };
        let not_found = || Fault::not_found(what, &id.name);
        let owner = Owner::find(self.db, &id.owner)?.ok_or_else(not_found)?;
        let mut delete = self.db.prepare_cached(&format!(
            "DELETE FROM secret WHERE {} = ?1 AND kind = ?2 AND name = ?3",
            owner.column
        ))?;
        match delete.execute((owner.row, code(id.kind), &id.name))? {
            0 => Err(not_found()),
            _ => Ok(()),
        }
    }

    /// Makes a context, unless it is there.
    pub fn create_context(&self, name: &str) -> Res<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO context (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?;
        insert.execute((name, Millis(self.now)))?;
        let mut count = self.db.prepare_cached("SELECT count(*) FROM context")?;
        let number: u32 = count.query_row([], |row| row.get(0))?;
        if number > MOST_CONTEXTS {
            return Err(Fault::conflict(format!(
                "there are {MOST_CONTEXTS} contexts already, and there cannot be more"
            )));
        }
        Ok(())
    }

    /// Forgets a context and its variables.
    pub fn delete_context(&self, name: &str) -> Res<()> {
        let owner = Owner::find(self.db, &SecretOwner::Context(name.to_owned()))?
            .ok_or_else(|| Fault::not_found("context", name))?;
        self.db
            .prepare_cached("DELETE FROM secret WHERE context = ?1")?
            .execute([owner.row])?;
        self.db
            .prepare_cached("DELETE FROM context WHERE id = ?1")?
            .execute([owner.row])?;
        Ok(())
    }

    /// Secrets are sealed anew, unless they changed in between.
    pub fn reseal(&self, resealed: &[Resealed]) -> Res<u64> {
        let mut update = self.db.prepare_cached(
            "UPDATE secret SET key_id = ?2, sealed = ?3 WHERE id = ?1 AND sealed = ?4",
        )?;
        let mut changed = 0;
        for Resealed { row, old, new } in resealed {
            changed += update.execute((row, &new.key_id, &new.bytes, &old.bytes))? as u64;
        }
        Ok(changed)
    }
}

fn list(db: &Connection, owner: &SecretOwner, kind: SecretKind) -> Res<Vec<SecretRecord>> {
    let Some(owner) = Owner::find(db, owner)? else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare_cached(&format!(
        "SELECT name, facts, key_id, created_at, updated_at FROM secret \
         WHERE {} = ?1 AND kind = ?2 ORDER BY name",
        owner.column
    ))?;
    let rows = statement.query_map((owner.row, code(kind)), |row| {
        Ok(SecretRecord {
            name: row.get(0)?,
            facts: row.get(1)?,
            key_id: row.get(2)?,
            created_at: time(row, 3)?,
            updated_at: time(row, 4)?,
        })
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

fn contexts(db: &Connection) -> Res<Vec<ContextRecord>> {
    let mut statement = db.prepare_cached(
        "SELECT name, (SELECT count(*) FROM secret WHERE context = context.id), created_at \
         FROM context ORDER BY name",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(ContextRecord {
            name: row.get(0)?,
            variables: row.get(1)?,
            created_at: time(row, 2)?,
        })
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

fn keys(db: &Connection) -> Res<Vec<SecretKeyUse>> {
    let mut statement =
        db.prepare_cached("SELECT key_id, count(*) FROM secret GROUP BY key_id ORDER BY key_id")?;
    let rows = statement.query_map([], |row| {
        Ok(SecretKeyUse {
            key_id: row.get(0)?,
            secrets: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

const STORED: &str = "SELECT s.id, s.kind, s.name, s.facts, s.key_id, s.sealed, p.name, c.name \
     FROM secret s LEFT JOIN project p ON p.id = s.project LEFT JOIN context c ON c.id = s.context";

fn not_sealed_by(db: &Connection, key: &str, after: u64, limit: u32) -> Res<Vec<StoredSecret>> {
    let sql = format!("{STORED} WHERE s.key_id <> ?1 AND s.id > ?2 ORDER BY s.id LIMIT ?3");
    let mut statement = db.prepare_cached(&sql)?;
    collect(statement.query((key, after, limit))?)
}

/// The secrets of an owner, by name.
fn of_owner(db: &Connection, column: &str, owner: i64) -> Res<Vec<SealedSecret>> {
    let sql = format!("{STORED} WHERE s.{column} = ?1 ORDER BY s.kind, s.name");
    let mut statement = db.prepare_cached(&sql)?;
    let stored = collect(statement.query([owner])?)?;
    Ok(stored.into_iter().map(|stored| stored.secret).collect())
}

fn collect(mut rows: rusqlite::Rows<'_>) -> Res<Vec<StoredSecret>> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Res<StoredSecret> {
    let owner = match (row.get(6)?, row.get(7)?) {
        (Some(project), None) => SecretOwner::Project(project),
        (None, Some(context)) => SecretOwner::Context(context),
        _ => return Err(Fault::damaged("a secret has not one owner")),
    };
    let id = SecretId {
        owner,
        kind: kind(row.get(1)?)?,
        name: row.get(2)?,
    };
    let sealed = Sealed {
        key_id: row.get(4)?,
        bytes: row.get(5)?,
    };
    Ok(StoredSecret {
        row: row.get(0)?,
        secret: SealedSecret {
            id,
            facts: row.get(3)?,
            sealed,
        },
    })
}

/// What the holder of a lease may see.
fn of_task(db: &Connection, task: TaskId, lease: &[u8; 16]) -> Res<SecretsOfTask> {
    let held = Held::load(db, task)?.ok_or_else(|| Fault::not_found("task", task))?;
    let state = held.state()?;
    let leased = held.attempt.as_ref().is_some_and(|row| row.lease == *lease);
    if !leased || state.lease().is_none() {
        let now = state.status();
        return Err(IllegalTransition::StaleLease { now }.into());
    }
    let mut find = db.prepare_cached(
        "SELECT p.project, coalesce(p.trigger ->> 'untrusted', 0), j.contexts \
         FROM job j JOIN pipeline p ON p.id = j.pipeline WHERE j.id = ?1",
    )?;
    let (project, untrusted, contexts): (i64, bool, Option<String>) = find
        .query_row([job_of(task).as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    if untrusted {
        return Ok(SecretsOfTask::default());
    }
    let contexts: Vec<String> = contexts
        .map(|names| serde_json::from_str(&names))
        .transpose()?
        .unwrap_or_default();
    let mut found = SecretsOfTask {
        secrets: of_owner(db, "project", project)?,
        missing_contexts: Vec::new(),
    };
    let mut find = db.prepare_cached("SELECT id FROM context WHERE name = ?1")?;
    for name in contexts {
        match find.query_row([&name], |row| row.get(0)).optional()? {
            Some(context) => found.secrets.extend(of_owner(db, "context", context)?),
            None => found.missing_contexts.push(name),
        }
    }
    Ok(found)
}
