//! The orbs of a config: those that come with it, and those that are at hand here. A server asks
//! nobody over the network for others: what a config compiles to is decided by its sender.

use std::collections::BTreeMap;

use async_trait::async_trait;
use outrider_api::ErrorCode;
use outrider_api::pipelines::OrbSource as SentOrb;
use outrider_config::{Options, Orb, OrbReference, Orbs, SourceFile};

use super::Core;
use crate::ApiError;

/// As many as a resolution gives at most.
const MOST: usize = 200;

/// The largest that a resolution gives.
const LARGEST: usize = 1024 * 1024;

/// Has orbs that do not come with a config.
#[async_trait]
pub trait OrbSource: Send + Sync {
    /// Those that a config needs besides the ones that are given, as far as they are here.
    async fn find(&self, config: &SourceFile, given: &Orbs) -> Result<Orbs, ApiError>;
}

/// Has none.
#[derive(Clone, Copy, Debug)]
pub struct NoOrbs;

#[async_trait]
impl OrbSource for NoOrbs {
    async fn find(&self, _: &SourceFile, _: &Orbs) -> Result<Orbs, ApiError> {
        Ok(Orbs::new())
    }
}

impl Core {
    /// The orbs at hand for a config: those that came with it, and others.
    pub(super) async fn orbs_for(
        &self,
        config: &SourceFile,
        given: Orbs,
    ) -> Result<Orbs, ApiError> {
        let mut orbs = self.orbs.find(config, &given).await?;
        orbs.extend(given);
        Ok(orbs)
    }
}

/// The orbs that a config needs and that are not at hand.
pub fn missing(config: &SourceFile, options: &Options) -> Vec<String> {
    let missing = outrider_config::missing_orbs(config, options);
    missing.iter().map(ToString::to_string).collect()
}

/// The orbs of a request. All of them together are bounded by the size of its body.
pub fn given(sent: BTreeMap<String, SentOrb>) -> Result<Orbs, ApiError> {
    if sent.len() > MOST {
        let message = format!("{} orbs came with the config", sent.len());
        let advice = format!("Send {MOST} at most: those that the config uses.");
        return Err(ApiError::new(ErrorCode::TooLarge, message).advise(advice));
    }
    sent.into_iter()
        .map(|(name, orb)| one(&name, orb))
        .collect()
}

fn one(name: &str, orb: SentOrb) -> Result<(OrbReference, Orb), ApiError> {
    let reference = name.parse().map_err(|error| {
        let message = format!("`{}` names no orb: {error}", name.escape_debug());
        ApiError::new(ErrorCode::BadRequest, message)
            .advise("Name orbs as the config does, for example circleci/node@5.1.")
    })?;
    if orb.text.len() > LARGEST {
        let message = format!("the orb {name} has {} bytes", orb.text.len());
        let advice = format!("An orb has {LARGEST} bytes at most.");
        return Err(ApiError::new(ErrorCode::TooLarge, message).advise(advice));
    }
    let SentOrb { name, text } = orb;
    Ok((reference, Orb { name, text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, text: &str) -> ErrorCode {
        let orb = SentOrb {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let sent = BTreeMap::from([(name.to_owned(), orb)]);
        given(sent).unwrap_err().code
    }

    #[test]
    fn what_is_sent_is_named_and_bounded() {
        assert_eq!(refused("../x@1", ""), ErrorCode::BadRequest);
        assert_eq!(
            refused("a/b@1", &"x".repeat(LARGEST + 1)),
            ErrorCode::TooLarge
        );
        let orb = SentOrb {
            name: String::new(),
            text: String::new(),
        };
        let many = (0..=MOST).map(|number| (format!("a/b{number}@1"), orb.clone()));
        assert_eq!(given(many.collect()).unwrap_err().code, ErrorCode::TooLarge);
    }
}
