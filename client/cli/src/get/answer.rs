//! The head of a response.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, StatusCode};
use lacewing_client::OnInformational;

/// The most informational responses to one request that are shown.
const MAX_EARLY: usize = 100;

/// The head of a response.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) version: http::Version,
    pub(super) fields: HeaderMap,
}

/// The informational responses to one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Early(Arc<Mutex<Vec<Answer>>>);

impl Early {
    /// What collects them, on the connection's task.
    pub(super) fn listener(&self) -> OnInformational {
        let kept = Arc::clone(&self.0);
        OnInformational::new(move |response| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < MAX_EARLY {
                let (head, ()) = response.into_parts();
                kept.push(Answer {
                    status: head.status,
                    version: head.version,
                    fields: head.headers,
                });
            }
        })
    }

    pub(super) fn take(&self) -> Vec<Answer> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A response's head as text, with the line ends of HTTP/1.1.
pub(super) fn head_text(answer: &Answer) -> Vec<u8> {
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let version = match answer.version {
        http::Version::HTTP_2 => "HTTP/2",
        http::Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    let reason = if version == "HTTP/2" { "" } else { reason };
    let text = format!("{version} {} {reason}\r\n", answer.status.as_u16());
    let mut bytes = text.into_bytes();
    for (name, value) in &answer.fields {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
