//! The preferences of a request for media types (RFC 9110 §12.5.1).

use http::{HeaderMap, HeaderName, header::ACCEPT};

/// The weight of a member of a list without `q`, in thousandths.
const FULL: u16 = 1000;

/// The weight of a media type in thousandths: that of the most specific range that covers it.
/// 0 means that the client does not accept it. Without an `accept` field, every type has the full
/// weight.
pub(crate) fn media_weight(fields: &HeaderMap, media_type: &str) -> u16 {
    if !fields.contains_key(ACCEPT) {
        return FULL;
    }
    let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    let mut best = (0, 0);
    for (range, weight) in members(fields, &ACCEPT) {
        let specificity = if range.eq_ignore_ascii_case(media_type) {
            3
        } else if range
            .split_once('/')
            .is_some_and(|(first, rest)| rest == "*" && first.eq_ignore_ascii_case(kind))
        {
            2
        } else if range == "*/*" {
            1
        } else {
            continue;
        };
        best = best.max((specificity, weight));
    }
    best.1
}

/// Returns whether the client names the media type itself, and accepts it.
pub(crate) fn names_media_type(fields: &HeaderMap, media_type: &str) -> bool {
    members(fields, &ACCEPT)
        .any(|(range, weight)| weight > 0 && range.eq_ignore_ascii_case(media_type))
}

/// The members of a list, without their parameters but with their weight. A malformed weight
/// counts as 0.
pub(super) fn members<'a>(
    fields: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, u16)> {
    let values = fields.get_all(name).iter();
    let members = values.filter_map(|value| value.to_str().ok());
    members.flat_map(|value| value.split(',')).map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(FULL, thousandths);
        (name, weight)
    })
}

fn thousandths(text: &str) -> u16 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = rest.bytes().all(|digit| digit.is_ascii_digit());
    match whole {
        "1" if rest.bytes().all(|digit| digit == b'0') => FULL,
        "0" if digits && rest.len() <= 3 => format!("{rest:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> HeaderMap {
        let value = http::HeaderValue::from_static(value);
        [(ACCEPT, value)].into_iter().collect()
    }

    #[test]
    fn the_most_specific_range_has_the_weight() {
        for (field, media_type, weight) in [
            ("*/*", "text/html", 1000),
            ("text/*;q=0.5, */*", "text/html", 500),
            ("text/*;q=0.5, TEXT/HTML;level=1; q=0.7", "text/html", 700),
            ("text/html;q=0, */*", "text/html", 0),
            ("application/json", "text/html", 0),
            ("text/html;q=1.5", "text/html", 0),
            ("text/html;q=0.12345", "text/html", 0),
            ("text/html;q=1.000", "text/html", 1000),
        ] {
            assert_eq!(media_weight(&accept(field), media_type), weight, "{field}");
        }
        assert_eq!(media_weight(&HeaderMap::new(), "text/html"), 1000);
    }

    #[test]
    fn a_wildcard_does_not_name_a_type() {
        assert!(names_media_type(
            &accept("a/b, text/html;q=0.1"),
            "text/html"
        ));
        for field in ["*/*", "text/*", "text/html;q=0"] {
            assert!(!names_media_type(&accept(field), "text/html"), "{field}");
        }
    }
}
