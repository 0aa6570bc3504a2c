//! Ranges of bytes, as HTTP asks for them (RFC 9110, 14).

use std::ops::Range;

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use outrider_api::ErrorCode;

use crate::ApiError;
use crate::core::Download;

/// What is asked for of so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    Whole(u64),
    /// A part.
    Part {
        /// Which; never empty.
        range: Range<u64>,
        /// Of how many.
        size: u64,
    },
}

impl Wanted {
    /// What the headers ask for. Several ranges, or what is no range, is answered with the whole.
    pub fn new(headers: &HeaderMap, size: u64) -> Result<Self, ApiError> {
        let header = headers.get(RANGE).and_then(|value| value.to_str().ok());
        let Some(asked) = header.and_then(parse) else {
            return Ok(Self::Whole(size));
        };
        let range = match asked {
            Asked::From(start, end) => start..end.map_or(size, |last| last.saturating_add(1)),
            Asked::Last(bytes) => size.saturating_sub(bytes)..size,
        };
        let range = range.start..range.end.min(size);
        if range.is_empty() {
            return Err(ApiError::new(
                ErrorCode::BadRange,
                format!("there are {size} bytes, and none in that range"),
            ));
        }
        Ok(Self::Part { range, size })
    }

    /// Which bytes these are.
    pub fn range(&self) -> Range<u64> {
        match self {
            Self::Whole(size) => 0..*size,
            Self::Part { range, .. } => range.clone(),
        }
    }
}

/// A range as it is written.
enum Asked {
    /// From a byte on, to the last one that is named.
    From(u64, Option<u64>),
    /// So many at the end.
    Last(u64),
}

fn parse(header: &str) -> Option<Asked> {
    let (start, end) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| digits)
    };
    match (start, end) {
        ("", bytes) => number(bytes).map(Asked::Last),
        (start, "") => Some(Asked::From(number(start)?, None)),
        (start, end) => {
            let (start, end) = (number(start)?, number(end)?);
            (start <= end).then_some(Asked::From(start, Some(end)))
        }
    }
}

/// Bytes of a kind, or the part of them that was asked for.
pub fn answer(wanted: Wanted, download: Download, content_type: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    let text = |text: String| text.parse().ok();
    let entries = [
        (CONTENT_TYPE, text(content_type.to_owned())),
        (ACCEPT_RANGES, text("bytes".to_owned())),
        (CONTENT_LENGTH, text(download.length.to_string())),
    ];
    headers.extend(
        entries
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let status = match wanted {
        Wanted::Whole(_) => StatusCode::OK,
        Wanted::Part { range, size } => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            headers.extend(text(shown).map(|value| (CONTENT_RANGE, value)));
            StatusCode::PARTIAL_CONTENT
        }
    };
    (status, headers, Body::from_stream(download.pieces)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(range: &str, size: u64) -> Result<Wanted, ErrorCode> {
        let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
        Wanted::new(&headers, size).map_err(|error| error.code)
    }

    #[test]
    fn one_range_is_understood() {
        let part = |range| Ok(Wanted::Part { range, size: 10 });
        for (text, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=2-99", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
        ] {
            assert_eq!(wanted(text, 10), part(range), "{text}");
        }
        for text in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(wanted(text, 10), Err(ErrorCode::BadRange), "{text}");
        }
        assert_eq!(wanted("bytes=0-", 0), Err(ErrorCode::BadRange));
    }

    #[test]
    fn what_is_not_understood_is_answered_with_the_whole() {
        for text in [
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=",
            "bytes=5-2",
            "bytes=+1-2",
        ] {
            assert_eq!(wanted(text, 10), Ok(Wanted::Whole(10)), "{text}");
        }
        let none = Wanted::new(&HeaderMap::new(), 10).unwrap();
        assert_eq!(none.range(), 0..10);
    }
}
