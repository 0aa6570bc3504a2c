//! Tokens and the inventory of runners.

use outrider_model::secret::TokenHash;
use outrider_model::{ClassName, RunnerId, Timestamp, TokenId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::{Fault, Res};
use super::rows::{Millis, opt_time, time};
use super::tx::Tx;
use crate::{NewToken, RunnerContact, RunnerRecord, TokenRecord, TokenScope};

impl Tx<'_> {
    /// Keeps a new token, unless it is there.
    pub fn create_token(&mut self, token: &NewToken) -> Res<TokenId> {
        let mut find = self
            .db
            .prepare_cached("SELECT id FROM token WHERE hash = ?1")?;
        let known: Option<[u8; 16]> = find
            .query_row([token.hash.as_bytes()], |row| row.get(0))
            .optional()?;
        if let Some(known) = known {
            return Ok(TokenId::from_bytes(known));
        }
        let class = match &token.scope {
            TokenScope::Admin => None,
            TokenScope::Class { class } => Some(self.class(class)?),
        };
        let id = self.memory.ids.token(self.now);
        let mut insert = self.db.prepare_cached(
            "INSERT INTO token (id, hash, class, nickname, hint, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        insert.execute((
            id.as_bytes(),
            token.hash.as_bytes(),
            class,
            &token.nickname,
            &token.hint,
            Millis(self.now),
        ))?;
        Ok(id)
    }

    /// Revokes a token, once.
    pub fn revoke_token(&self, id: TokenId) -> Res<()> {
        let mut revoke = self.db.prepare_cached(
            "UPDATE token SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1",
        )?;
        match revoke.execute((id.as_bytes(), Millis(self.now)))? {
            0 => Err(Fault::not_found("token", id)),
            _ => Ok(()),
        }
    }

    /// Runners were heard of.
    pub fn see_runners(&mut self, runners: &[RunnerContact]) -> Res<()> {
        for runner in runners {
            let class = self.class(&runner.class)?;
            let mut upsert = self.db.prepare_cached(
                "INSERT INTO runner VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) \
                 ON CONFLICT (id) DO UPDATE SET class = ?2, name = ?3, hostname = ?4, version = ?5, \
                 slots = ?6, last_contact = max(last_contact, ?7)",
            )?;
            upsert.execute((
                runner.id.as_bytes(),
                class,
                &runner.name,
                &runner.hostname,
                &runner.version,
                runner.slots,
                Millis(self.now),
            ))?;
        }
        Ok(())
    }

    /// A runner leaves the inventory.
    pub fn forget_runner(&self, id: RunnerId) -> Res<()> {
        self.remember_contact("id = ?1", id.as_bytes())?;
        self.db
            .prepare_cached("DELETE FROM runner WHERE id = ?1")?
            .execute([id.as_bytes()])?;
        Ok(())
    }

    /// Runners that were not heard of for long leave the inventory.
    pub fn forget_runners(&self, before: Timestamp) -> Res<u64> {
        self.remember_contact("last_contact < ?1", Millis(before))?;
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM runner WHERE last_contact < ?1")?;
        Ok(delete.execute([Millis(before)])? as u64)
    }

    /// What `explain` says of a class whose runners are all gone.
    fn remember_contact(&self, which: &str, value: impl rusqlite::ToSql) -> Res<()> {
        let sql = format!(
            "UPDATE class SET last_contact = max(coalesce(class.last_contact, 0), gone.at) \
             FROM (SELECT class AS id, max(last_contact) AS at FROM runner WHERE {which} \
             GROUP BY class) AS gone WHERE gone.id = class.id"
        );
        self.db.prepare_cached(&sql)?.execute([value])?;
        Ok(())
    }
}

const TOKEN: &str = "SELECT t.id, c.name, t.nickname, t.hint, t.created_at, t.revoked_at \
     FROM token t LEFT JOIN class c ON c.id = t.class";

/// The token with this hash, unless it is revoked.
pub fn find(db: &Connection, hash: TokenHash) -> Res<Option<TokenRecord>> {
    let sql = token_query(" WHERE t.hash = ?1 AND t.revoked_at IS NULL");
    let mut statement = db.prepare_cached(&sql)?;
    let row = statement
        .query_row([hash.as_bytes()], |row| Ok(read_token(row)))
        .optional()?;
    row.transpose()
}

/// All tokens, newest first.
pub fn all(db: &Connection) -> Res<Vec<TokenRecord>> {
    let mut statement = db.prepare_cached(&token_query(" ORDER BY t.id DESC"))?;
    let mut rows = statement.query([])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.push(read_token(row)?);
    }
    Ok(tokens)
}

fn token_query(rest: &str) -> String {
    format!("{TOKEN}{rest}")
}

fn read_token(row: &Row<'_>) -> Res<TokenRecord> {
    let scope = match row.get::<_, Option<String>>(1)? {
        None => TokenScope::Admin,
        Some(class) => TokenScope::Class {
            class: read_class(&class)?,
        },
    };
    Ok(TokenRecord {
        id: TokenId::from_bytes(row.get(0)?),
        scope,
        nickname: row.get(2)?,
        hint: row.get(3)?,
        created_at: time(row, 4)?,
        revoked_at: opt_time(row, 5)?,
    })
}

fn read_class(name: &str) -> Res<ClassName> {
    name.parse()
        .map_err(|_| Fault::damaged(format!("`{name}` is not a class")))
}

/// The inventory: by class and name.
pub fn runners(db: &Connection, class: Option<&ClassName>) -> Res<Vec<RunnerRecord>> {
    // Counting walks over held leases only.
    let mut statement = db.prepare_cached(
        "SELECT r.id, c.name, r.name, r.hostname, r.version, r.slots, r.first_contact, \
         r.last_contact, coalesce(h.tasks, 0) FROM runner r JOIN class c ON c.id = r.class \
         LEFT JOIN (SELECT runner, count(*) AS tasks FROM attempt WHERE ended_at IS NULL \
         GROUP BY runner) h ON h.runner = r.id \
         WHERE ?1 IS NULL OR c.name = ?1 ORDER BY c.name, r.name, r.id",
    )?;
    let mut rows = statement.query([class.map(ClassName::as_str)])?;
    let mut runners = Vec::new();
    while let Some(row) = rows.next()? {
        runners.push(RunnerRecord {
            contact: RunnerContact {
                id: RunnerId::from_bytes(row.get(0)?),
                class: read_class(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
                name: row.get(2)?,
                hostname: row.get(3)?,
                version: row.get(4)?,
                slots: row.get(5)?,
            },
            first_contact: time(row, 6)?,
            last_contact: time(row, 7)?,
            running: row.get(8)?,
        });
    }
    Ok(runners)
}
