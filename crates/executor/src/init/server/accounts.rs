//! Users and groups, as the container's own files name them.

use std::path::PathBuf;

use crate::ExecutorError;

/// A user of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Its id, if it has no name.
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: Option<PathBuf>,
}

/// The contents of `/etc/passwd` and `/etc/group`.
#[derive(Default)]
pub(super) struct Accounts {
    pub passwd: String,
    pub group: String,
}

impl Accounts {
    /// Those of this container. An image without them has only ids.
    pub fn read() -> Self {
        let read = |path| match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => String::new(),
        };
        Self {
            passwd: read("/etc/passwd"),
            group: read("/etc/group"),
        }
    }

    /// Whom `USER` or `USER:GROUP` means; both may be names or ids.
    pub fn find(&self, text: &str) -> Result<Account, ExecutorError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (text, None),
        };
        let entry = self.user(user);
        let uid = entry.as_ref().map(|entry| entry.uid);
        let uid = uid.or_else(|| user.parse().ok()).ok_or_else(|| {
            unknown(format!(
                "there is no user `{user}` in the image\n\
                 name one that its /etc/passwd has, or use a numeric id with `user`"
            ))
        })?;
        let name = entry.as_ref().map_or(user, |entry| entry.name);
        let main = entry.as_ref().map_or(0, |entry| entry.gid);
        let gid = group.map_or(Ok(main), |group| self.group(group))?;
        // With a group of its choice a user is in no other, as in container engines.
        let groups = if group.is_some() {
            Vec::new()
        } else {
            self.groups_of(name)
        };
        Ok(Account {
            name: name.to_owned(),
            uid,
            gid,
            groups,
            home: entry
                .map(|entry| PathBuf::from(entry.home))
                .filter(|home| home.is_absolute()),
        })
    }

    /// A name wins over an id that looks like it.
    fn user(&self, text: &str) -> Option<User<'_>> {
        let all = || self.passwd.lines().filter_map(User::parse);
        let uid = text.parse().ok();
        all()
            .find(|user| user.name == text)
            .or_else(|| all().find(|user| Some(user.uid) == uid))
    }

    fn group(&self, text: &str) -> Result<u32, ExecutorError> {
        let mut lines = self.group.lines().filter_map(group_line);
        let found = lines
            .find(|(name, ..)| *name == text)
            .map(|(_, gid, _)| gid);
        found.or_else(|| text.parse().ok()).ok_or_else(|| {
            unknown(format!(
                "there is no group `{text}` in the image\n\
                 name one that its /etc/group has, or use a numeric id with `user`"
            ))
        })
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        let lines = self.group.lines().filter_map(group_line);
        let of_user = lines.filter(|(.., members)| members.split(',').any(|name| name == user));
        of_user.map(|(_, gid, _)| gid).collect()
    }
}

fn unknown(message: String) -> ExecutorError {
    ExecutorError::user(message, None)
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> User<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else {
            return None;
        };
        Some(Self {
            name,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home,
        })
    }
}

fn group_line(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
    Some((name, gid.parse().ok()?, fields.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\nbad line\nnode:x:1000:1001::/home/node:\n"
                .into(),
            group: "root:x:0:\nnode:x:1001:\ndocker:x:998:other,node\nwheel:x:10:nodes\n".into(),
        }
    }

    #[test]
    fn users_by_name_and_by_id() {
        let find = |text| accounts().find(text).expect("is found");
        let node = find("node");
        assert_eq!(
            (node.uid, node.gid, &node.groups[..]),
            (1000, 1001, &[998][..])
        );
        assert_eq!(node.home, Some("/home/node".into()));
        assert_eq!(find("1000"), node);
        let (uid, gid) = (find("node:wheel").uid, find("node:wheel").gid);
        assert_eq!((uid, gid), (1000, 10));
        let stranger = find("4242:77");
        assert_eq!(
            (stranger.uid, stranger.gid, stranger.home),
            (4242, 77, None)
        );
        assert_eq!(find("4242").gid, 0);
    }

    #[test]
    fn who_is_not_there_is_the_configs_fault() {
        for text in ["nobody-here", "node:no-group", "", "-1"] {
            let error = accounts().find(text).expect_err("is not there");
            assert_eq!(error.fault, crate::Fault::User, "{text}");
        }
    }
}
