//! Where a pipeline's code comes from: what is taken, and what is not.

use outrider_api::ErrorCode;
use outrider_model::plan::Source;

use crate::ApiError;

/// Longer than the names of people and services, shorter than tokens.
const LONGEST_USER: usize = 32;

/// Refuses a URL with a password in it: it would be in databases, logs and variables of jobs.
pub(super) fn check(source: &Source) -> Result<(), ApiError> {
    let Source::Git { url, .. } = source else {
        return Ok(());
    };
    if has_password(url) {
        return Err(ApiError::new(
            ErrorCode::BadRequest,
            "the repository's URL has a password in it",
        )
        .advise(
            "Take it out, and withdraw it. Set the project variable OUTRIDER_GIT_TOKEN \
                     instead, which checkout sends to the repository's host only.",
        ));
    }
    if url.is_empty() || url.starts_with('-') || url.chars().any(char::is_control) {
        return Err(
            ApiError::new(ErrorCode::BadRequest, "that is not the URL of a repository").advise(
                "Give what `git clone` takes, for example https://example.com/acme/shop.git.",
            ),
        );
    }
    Ok(())
}

/// Whether a URL names a user and a password, or a token in a user's place.
fn has_password(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else {
        return false;
    };
    let web = scheme.to_ascii_lowercase().starts_with("http");
    user.contains(':') || (web && user.len() > LONGEST_USER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(url: &str) -> Source {
        Source::Git {
            url: url.to_owned(),
            revision: None,
            reference: None,
        }
    }

    #[test]
    fn urls_that_git_takes_are_taken() {
        for url in [
            "https://example.com/acme/shop.git",
            "https://anna@example.com:8443/acme/shop",
            "git@example.com:acme/shop.git",
            "ssh://git@example.com:22/acme/shop.git",
            "https://example.com/a:b@c",
            "/srv/git/shop",
        ] {
            assert!(check(&git(url)).is_ok(), "{url}");
        }
        assert!(check(&Source::None).is_ok());
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let token = format!("https://{}@example.com/acme/shop", "s3cret".repeat(6));
        for url in [
            "https://anna:s3cret@example.com/acme/shop.git",
            "HTTPS://:s3cret@example.com",
            "ssh://git:s3cret@example.com/acme/shop.git",
            &token,
        ] {
            let error = check(&git(url)).unwrap_err();
            let shown = format!("{error:?}");
            assert!(
                shown.contains("password") && !shown.contains("s3cret"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in ["", "--upload-pack=x", "https://example.com/a\nb"] {
            assert!(check(&git(url)).is_err(), "{url:?}");
        }
    }
}
