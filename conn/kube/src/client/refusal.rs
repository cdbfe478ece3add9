//! A server's refusal of an upgrade.

use std::fmt;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;

/// The response with which a server refuses an upgrade.
///
/// Its text is kubectl's: the `message` of a JSON `Status`, else its `error`, else the
/// body as it is.
#[derive(Debug)]
pub struct Refusal {
    response: Response<Bytes>,
}

impl Refusal {
    /// The bytes of the body that are read.
    #[cfg(feature = "websocket")]
    pub(super) const MAX_BODY: usize = 64 << 10;

    pub(super) fn new(response: Response<Bytes>) -> Self {
        Self { response }
    }

    /// Returns the status code of the response.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the response, with the first 64 KiB of its body.
    pub fn response(&self) -> &Response<Bytes> {
        &self.response
    }

    /// Returns the text for the user.
    pub fn message(&self) -> String {
        let body = self.response.body();
        let object: Option<Value> = serde_json::from_slice(body).ok();
        let field = |name: &str| {
            let text = object.as_ref()?.get(name)?.as_str()?;
            Some(text.to_owned()).filter(|text| !text.is_empty())
        };
        let text = field("message").or_else(|| field("error"));
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
        match text.is_empty() {
            true => "empty server response".to_owned(),
            false => text,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        write!(
            f,
            "unable to upgrade connection: {} ({status})",
            self.message()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_kubectls() {
        for (body, expected) in [
            (
                r#"{"kind":"Status","message":"no pod","code":404}"#,
                "no pod",
            ),
            (r#"{"error":"denied"}"#, "denied"),
            (r#"{"message":"","error":"denied"}"#, "denied"),
            (
                "container not found (\"x\")\n",
                "container not found (\"x\")",
            ),
            (r#"{"message":7}"#, r#"{"message":7}"#),
            ("", "empty server response"),
            (" \n", "empty server response"),
        ] {
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = StatusCode::NOT_FOUND;
            let refusal = Refusal::new(response);
            assert_eq!(refusal.message(), expected);
            let text = format!("unable to upgrade connection: {expected} (404 Not Found)");
            assert_eq!(refusal.to_string(), text);
        }
    }
}
