//! The content of messages: its presence and its length (RFC 9110
//! §6.4.1, §8.6; RFC 9113 §8.1.1).

use http::{HeaderMap, Method, StatusCode, header::CONTENT_LENGTH};

use super::{
    AddedFields, Control, Head, Rule, Side, UsageError,
    rules::Rules,
    wire::{DeclaredLength, content_length_of},
};

/// The content of a message that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Content {
    /// Of no declared length: the end of the stream is its end.
    #[default]
    Unmeasured,
    /// So many bytes of a declared content-length are missing.
    Left(u64),
    /// The message is defined to have none, whatever its content-length says.
    None,
}

impl Content {
    /// Counts a piece that arrived.
    #[inline]
    pub(crate) fn count_down(&mut self, len: usize, fin: bool) -> Result<(), Rule> {
        match self {
            Self::Unmeasured => Ok(()),
            Self::None if len == 0 => Ok(()),
            Self::None => Err(Rule::UnexpectedContent),
            Self::Left(rest) => {
                let len = u64::try_from(len).unwrap_or(u64::MAX);
                let left = rest.checked_sub(len);
                *rest = left.ok_or(Rule::ContentLengthMismatch)?;
                self.check_end(fin)
            }
        }
    }

    /// Checks that nothing is missing, if this is the end.
    #[inline]
    pub(crate) fn check_end(self, fin: bool) -> Result<(), Rule> {
        match self {
            Self::Left(rest) if fin && rest != 0 => Err(Rule::ContentLengthMismatch),
            _ => Ok(()),
        }
    }

    fn measured(length: Option<u64>, fin: bool) -> Result<Self, Rule> {
        let content = length.map_or(Self::Unmeasured, Self::Left);
        content.check_end(fin)?;
        Ok(content)
    }
}

/// The content that a request has by its head.
pub(crate) fn of_request(head: &mut Head, said: Said) -> Result<Content, Rule> {
    let length = said.length(&mut head.fields)?;
    if head.is_method(&Method::CONNECT) {
        // The bytes that follow are a tunnel's (RFC 9110 §9.3.6).
        return Ok(Content::Unmeasured);
    }
    if head.is_method(&Method::TRACE) {
        return none_of(length);
    }
    Content::measured(length, said.fin)
}

/// The statements of a head about its content: by its frame, and by its fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    /// The message ends with its head.
    pub(crate) fin: bool,
    /// Its content-length.
    pub(crate) length: DeclaredLength,
}

impl Said {
    fn length(self, fields: &mut HeaderMap) -> Result<Option<u64>, Rule> {
        match self.length {
            DeclaredLength::None => Ok(None),
            DeclaredLength::Once(length) => Ok(Some(length)),
            DeclaredLength::Unsettled => content_length_of(fields),
        }
    }
}

/// The property of a request that decides on the content of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The method is HEAD.
    Head,
    /// The method is CONNECT.
    Connect,
    /// The method is CONNECT, and the response agreed: what follows is a tunnel.
    Tunnel,
    Other,
}

impl Asked {
    /// Classifies a request by its head.
    pub(crate) fn by(head: &Head) -> Self {
        match head.control {
            Control::Request {
                method: Method::HEAD,
                ..
            } => Self::Head,
            Control::Request {
                method: Method::CONNECT,
                ..
            } => Self::Connect,
            _ => Self::Other,
        }
    }

    pub(crate) fn is_connect(self) -> bool {
        matches!(self, Self::Connect | Self::Tunnel)
    }
}

/// The content that a response has by its head.
pub(crate) fn of_response(
    rules: &Rules,
    head: &mut Head,
    asked: Asked,
    said: Said,
) -> Result<Content, Rule> {
    let Some(status) = head.status() else {
        return Ok(Content::Unmeasured);
    };
    if asked.is_connect() && status.is_success() {
        // A client must ignore it (RFC 9110 §9.3.6).
        head.fields.remove(CONTENT_LENGTH);
        return Ok(Content::Unmeasured);
    }
    let length = if rules.response_length_checked {
        said.length(&mut head.fields)?
    } else {
        None
    };
    match status {
        _ if asked == Asked::Head || status.is_informational() => Ok(Content::None),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Ok(Content::None),
        // Its content is empty, and its length may be 0 (RFC 9110 §15.3.6).
        StatusCode::RESET_CONTENT => none_of(length),
        _ => Content::measured(length, said.fin),
    }
}

/// Trailers have no content-length (RFC 9110 §6.5.1): a user who merges them into the head
/// would trust it. Where a client ignores a length that differs from the content (SPDY/3
/// §3.2.2), it is removed.
pub(crate) fn of_trailers(
    rules: &Rules,
    receiver: Side,
    fields: &mut HeaderMap,
) -> Result<(), Rule> {
    if !fields.contains_key(CONTENT_LENGTH) {
        return Ok(());
    }
    if receiver == Side::Server || rules.response_length_checked {
        return Err(Rule::ContentLengthMismatch);
    }
    fields.remove(CONTENT_LENGTH);
    Ok(())
}

/// No content may arrive, and the length may declare none.
fn none_of(length: Option<u64>) -> Result<Content, Rule> {
    match length {
        None | Some(0) => Ok(Content::None),
        Some(_) => Err(Rule::UnexpectedContent),
    }
}

/// The content that a response of ours may have. Removes a content-length from 1xx, 204, 205, and
/// where a tunnel follows (RFC 9110 §8.6, §15.3.6).
#[inline]
pub(crate) fn of_our_response(
    head: &mut Head,
    added: &mut AddedFields,
    asked: Asked,
) -> Result<Content, UsageError> {
    let Some(status) = head.status() else {
        return Ok(Content::Unmeasured);
    };
    let tunnel = asked.is_connect() && status.is_success();
    let forbidden = match status {
        _ if tunnel => false,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => true,
        _ => asked == Asked::Head || status.is_informational(),
    };
    let unsaid = tunnel
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT);
    added.leave_out(&head.fields);
    if unsaid {
        head.fields.remove(CONTENT_LENGTH);
        added.length = None;
    } else {
        check_our_length(&mut head.fields)?;
    }
    Ok(if forbidden {
        Content::None
    } else {
        Content::Unmeasured
    })
}

/// The same for a request of ours.
pub(crate) fn of_our_request(head: &mut Head, fin: bool) -> Result<(), UsageError> {
    if head.is_method(&Method::CONNECT) {
        head.fields.remove(CONTENT_LENGTH);
        return Ok(());
    }
    if head.is_method(&Method::TRACE) && !fin {
        return Err(UsageError::ContentForbidden);
    }
    check_our_length(&mut head.fields)
}

/// Nearly always there is one in digits, or none: comparing names costs less
/// than looking it up.
fn check_our_length(fields: &mut HeaderMap) -> Result<(), UsageError> {
    if fields.is_empty() {
        return Ok(());
    }
    let mut lengths = fields.iter().filter(|(name, _)| **name == CONTENT_LENGTH);
    let plain = match (lengths.next(), lengths.next()) {
        (None, _) => true,
        (Some((_, value)), None) => {
            let digits = value.as_bytes();
            (1..20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        (Some(_), Some(_)) => false,
    };
    if plain {
        return Ok(());
    }
    let length = content_length_of(fields);
    length.map(drop).map_err(|_| UsageError::InvalidLength)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn response(status: u16, lengths: &[&'static str]) -> Head {
        let mut head = Head::response(StatusCode::from_u16(status).unwrap());
        for length in lengths {
            head.fields
                .append(CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        head
    }

    const GET: Asked = Asked::Other;
    const HEAD: Asked = Asked::Head;
    const CONNECT: Asked = Asked::Connect;

    #[test]
    fn our_responses_say_no_length_where_none_may_be_said() {
        for (asked, status, content, kept) in [
            (GET, 200, Content::Unmeasured, true),
            (HEAD, 200, Content::None, true),
            (GET, 103, Content::None, false),
            (GET, 204, Content::None, false),
            (GET, 205, Content::None, false),
            (GET, 304, Content::None, true),
            (CONNECT, 200, Content::Unmeasured, false),
            (CONNECT, 204, Content::Unmeasured, false),
            (CONNECT, 404, Content::Unmeasured, true),
        ] {
            let mut head = response(status, &["7"]);
            assert_eq!(
                of_our_response(&mut head, &mut AddedFields::default(), asked),
                Ok(content),
                "{status}"
            );
            let has = head.fields.contains_key(CONTENT_LENGTH);
            assert_eq!(has, kept, "{status}");
        }
        for lengths in [&["x"][..], &[""], &["1", "2"], &["-1"], &["1, 1"]] {
            let mut head = response(200, lengths);
            let result = of_our_response(&mut head, &mut AddedFields::default(), GET);
            assert_eq!(result, Err(UsageError::InvalidLength), "{lengths:?}");
        }
        let mut head = response(200, &["7", "7"]);
        assert_eq!(
            of_our_response(&mut head, &mut AddedFields::default(), GET),
            Ok(Content::Unmeasured)
        );
        assert_eq!(head.fields.len(), 1);
    }
}
