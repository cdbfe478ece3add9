//! The facts about a file that its responses state.

use std::{
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use http::{
    HeaderMap, HeaderValue,
    header::{
        ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use httpdate::fmt_http_date;

use super::{
    charset::{content_type_of, is_compressible},
    conditions::Validators,
};
use crate::disk::Identity;

/// The facts about a file, made once for many responses.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) identity: Identity,
    pub(crate) content_type: HeaderValue,
    /// The fields of a response with the whole file.
    pub(crate) fields: HeaderMap,
    pub(crate) validators: Validators,
}

impl Facts {
    /// `sample` is the start of the file.
    pub(crate) fn new(path: &Path, identity: Identity, sample: &[u8], varies: Varies) -> Self {
        let content_type = content_type_of(path, sample);
        let modified = identity.modified();
        // A time to the nanosecond and a length: a change that keeps both is
        // too fast for the clock of the file system.
        let etag = modified.and_then(|(seconds, nanoseconds)| {
            let size = identity.size();
            HeaderValue::try_from(format!("\"{seconds:x}.{nanoseconds:08x}-{size:x}\"")).ok()
        });
        let last_modified = modified.and_then(|(seconds, _)| {
            let date = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
            (seconds < YEAR_10000).then(|| HeaderValue::try_from(fmt_http_date(date)).ok())?
        });
        let mut fields = HeaderMap::with_capacity(6);
        fields.insert(CONTENT_TYPE, content_type.clone());
        fields.insert(CONTENT_LENGTH, identity.size().into());
        fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let media_type = content_type.to_str().unwrap_or_default().split(';').next();
        if varies == Varies::Always
            || (varies == Varies::Text && is_compressible(media_type.unwrap_or_default()))
        {
            fields.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        if let Some(etag) = &etag {
            fields.insert(ETAG, etag.clone());
        }
        if let Some(last_modified) = last_modified {
            fields.insert(LAST_MODIFIED, last_modified);
        }
        Self {
            identity,
            content_type,
            fields,
            validators: Validators {
                etag,
                modified: modified.map(|(seconds, _)| seconds),
            },
        }
    }

    /// The facts of this file as a representation of another, in a coding. Each representation has
    /// an `etag` of its own (RFC 9110 §8.8.3).
    pub(crate) fn in_coding(&self, plain: &Self, coding: &HeaderValue) -> Self {
        let mut facts = self.clone();
        facts.content_type = plain.content_type.clone();
        let etag = facts.validators.etag.as_ref().and_then(|etag| {
            let opaque = etag.as_bytes().strip_suffix(b"\"")?;
            let parts = [opaque, b"-", coding.as_bytes(), b"\""];
            HeaderValue::try_from(parts.concat()).ok()
        });
        let fields = &mut facts.fields;
        fields.insert(CONTENT_TYPE, plain.content_type.clone());
        fields.insert(CONTENT_ENCODING, coding.clone());
        fields.insert(VARY, HeaderValue::from_static("accept-encoding"));
        fields.remove(ETAG);
        if let Some(etag) = &etag {
            fields.insert(ETAG, etag.clone());
        }
        facts.validators.etag = etag;
        facts
    }
}

/// The files whose responses depend on the codings that the client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Varies {
    Never,
    /// Those that are worth compression.
    Text,
    Always,
}

/// An HTTP date has four digits for the year.
const YEAR_10000: u64 = 253_402_300_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_odd_time_has_no_date() {
        let name = format!("lacewingd-facts-{}.svg", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = std::fs::File::create(&path).unwrap();
        let facts = |modified| {
            file.set_modified(modified).unwrap();
            let identity = Identity::of_file(&file).unwrap();
            Facts::new(&path, identity, b"", Varies::Text)
        };
        let usual = facts(UNIX_EPOCH + Duration::new(784_111_777, 500));
        assert_eq!(usual.content_type, "image/svg+xml; charset=utf-8");
        assert_eq!(usual.fields[VARY], "accept-encoding");
        let coded = usual.in_coding(&usual, &HeaderValue::from_static("br"));
        assert_eq!(coded.fields[ETAG], "\"2ebc98a1.000001f4-0-br\"");
        assert_eq!(usual.fields[LAST_MODIFIED], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(usual.validators.etag.unwrap(), "\"2ebc98a1.000001f4-0\"");
        let early = facts(UNIX_EPOCH - Duration::from_secs(9));
        assert!(!early.fields.contains_key(LAST_MODIFIED) && early.validators.etag.is_none());
        std::fs::remove_file(path).unwrap();
    }
}
