//! Caches, by their keys.

use outrider_api::ErrorCode;
use outrider_api::data::{FindCache, FoundCache, LONGEST_CACHE_KEY, SaveCache};
use outrider_store::{HeldLease, NewCache};

use super::check_length;
use crate::{ApiError, Core};

impl Core {
    /// The cache that fits. Before a save it also tells whether there is room for one.
    pub async fn find_cache(
        &self,
        by: HeldLease,
        query: FindCache,
    ) -> Result<Option<FoundCache>, ApiError> {
        check_length(query.keys.len())?;
        for key in &query.keys {
            check_key(key)?;
        }
        let now = self.clock.now();
        let found = self
            .store
            .find_cache(by, query.keys, query.exact, now)
            .await?;
        if query.exact && found.is_none() {
            self.check_room()?;
        }
        Ok(found.map(|found| FoundCache {
            key: found.key,
            manifest: found.manifest,
            entries: found.entries,
            size: found.size,
            created_at: found.created_at,
        }))
    }

    /// Keeps a cache, unless there is one with its key; whether it is kept.
    pub async fn save_cache(&self, by: HeldLease, cache: SaveCache) -> Result<bool, ApiError> {
        check_key(&cache.key)?;
        self.check_room()?;
        let new = NewCache {
            key: cache.key,
            archive: self.take_archive(by, cache.archive).await?,
            retention: self.settings.data.cache_retention,
        };
        self.pass("cache.indexed");
        Ok(self.store.save_cache(by, new, self.clock.now()).await?)
    }
}

fn check_key(key: &str) -> Result<(), ApiError> {
    let bad = |message: String| Err(ApiError::new(ErrorCode::BadRequest, message));
    let length = key.chars().count();
    if length == 0 {
        return bad("the key of a cache is empty".to_owned());
    }
    if length > LONGEST_CACHE_KEY {
        return bad(format!(
            "the key of a cache has at most {LONGEST_CACHE_KEY} characters, not {length}"
        ));
    }
    if let Some(control) = key.chars().find(|char| char.is_control()) {
        return bad(format!(
            "the key of a cache has the control character {control:?}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_key;

    #[test]
    fn keys_have_1_to_900_characters_and_none_that_control() {
        for good in ["a", "../x", "%_*", &"ä".repeat(900)] {
            check_key(good).unwrap();
        }
        for bad in ["", "a\0b", "a\nb", "\u{7f}", &"a".repeat(901)] {
            check_key(bad).unwrap_err();
        }
    }
}
