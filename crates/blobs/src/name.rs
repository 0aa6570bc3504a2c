//! What the database calls a blob, and where that lies under the root of a store.

use std::fmt;
use std::str::FromStr;

use outrider_model::blob::BlobHash;

/// Whose pipelines may write and read a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// What pipelines of trusted triggers made. The others may read it.
    Trusted,
    /// What pipelines of untrusted triggers made.
    Untrusted,
}

/// A blob as the database knows it. No two blobs ever have the same name: its row is not used again,
/// so that a late deletion never hits a blob with the same bytes that came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName {
    /// The number of the project that it belongs to.
    pub project: u64,
    /// And the trust tier.
    pub tier: Tier,
    /// BLAKE3 of its bytes.
    pub hash: BlobHash,
    /// Its row in the database.
    pub row: u64,
}

/// This is not where a blob lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob lies at PROJECT/TIER/XX/HASH-ROW")]
pub struct InvalidBlobName;

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
        })
    }
}

/// Its path. The two digits keep folders small.
impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            project,
            tier,
            hash,
            row,
        } = self;
        write!(f, "{project}/{tier}/{:02x}/{hash}-{row}", hash.0[0])
    }
}

impl FromStr for BlobName {
    type Err = InvalidBlobName;

    fn from_str(text: &str) -> Result<Self, InvalidBlobName> {
        let name = parse(text).ok_or(InvalidBlobName)?;
        // Only what would be written like this: no leading zeros, no other folder.
        (name.to_string() == text)
            .then_some(name)
            .ok_or(InvalidBlobName)
    }
}

fn parse(text: &str) -> Option<BlobName> {
    let (project, rest) = text.split_once('/')?;
    let (tier, rest) = rest.split_once('/')?;
    let (_, last) = rest.split_once('/')?;
    let (hash, row) = last.split_once('-')?;
    Some(BlobName {
        project: project.parse().ok()?,
        tier: match tier {
            "trusted" => Tier::Trusted,
            "untrusted" => Tier::Untrusted,
            _ => return None,
        },
        hash: hash.parse().ok()?,
        row: row.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_in_no_other_way() {
        let name = BlobName {
            project: 7,
            tier: Tier::Untrusted,
            hash: BlobHash([0xab; 32]),
            row: 4_711,
        };
        let text = format!("7/untrusted/ab/{}-4711", "ab".repeat(32));
        assert_eq!(name.to_string(), text);
        assert_eq!(text.parse(), Ok(name));
        for wrong in [
            text.replace("7/", "07/"),
            text.replace("7/", "+7/"),
            text.replace("/ab/", "/cd/"),
            text.replace("untrusted", "Untrusted"),
            text.replace("-4711", "-04711"),
            text.replace("-4711", ""),
            text.to_uppercase(),
            format!("{text}/"),
            format!("/{text}"),
            format!("x/{text}"),
            String::new(),
        ] {
            assert_eq!(wrong.parse::<BlobName>(), Err(InvalidBlobName), "{wrong}");
        }
    }
}
