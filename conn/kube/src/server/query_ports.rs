//! The ports in the query of a request for port-forward over WebSocket channels.

use http::StatusCode;

use super::rejection::Rejection;

/// Ports of one session. The number of a channel stays one character in base64 messages.
const MAX_PORTS: usize = 32;

/// Returns the ports of a query: `ports` for API servers, `port` for kubelets, repeated or with
/// commas.
///
/// # Errors
///
/// There is no port, one that is none, or too many.
pub(super) fn query_ports(query: &str) -> Result<Vec<u16>, Rejection> {
    let values = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        matches!(name, "port" | "ports").then_some(value)
    });
    let mut ports = Vec::new();
    for value in values {
        // kube-rs encodes the comma.
        let value = value.replace("%2C", ",").replace("%2c", ",");
        for text in value.split(',') {
            let port = text.parse().ok().filter(|port| *port != 0);
            let bad = || bad_request(format!("unable to parse {text:?} as a port"));
            ports.push(port.ok_or_else(bad)?);
        }
    }
    check_ports(&ports)?;
    Ok(ports)
}

/// Checks the number of ports.
pub(super) fn check_ports(ports: &[u16]) -> Result<(), Rejection> {
    match ports.len() {
        0 => Err(bad_request("query parameter \"port\" is required".into())),
        1..=MAX_PORTS => Ok(()),
        count => Err(bad_request(format!(
            "{count} ports are too many: {MAX_PORTS} are permitted"
        ))),
    }
}

fn bad_request(text: String) -> Rejection {
    Rejection::new(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_names_and_both_kinds_of_lists_are_read() {
        for query in ["ports=80,443", "&ports=80%2C443", "port=80&x=1&port=443"] {
            assert_eq!(query_ports(query).unwrap(), [80, 443], "{query}");
        }
    }

    #[test]
    fn wrong_ports_are_refused() {
        let many = vec!["1"; MAX_PORTS + 1].join(",");
        let many = format!("port={many}");
        for (query, text) in [
            ("", "query parameter \"port\" is required"),
            ("port=0", "unable to parse \"0\" as a port"),
            ("port=65536", "unable to parse \"65536\" as a port"),
            ("ports=80,", "unable to parse \"\" as a port"),
            ("ports=x", "unable to parse \"x\" as a port"),
            (&many, "33 ports are too many: 32 are permitted"),
        ] {
            let rejection = query_ports(query).unwrap_err();
            assert_eq!(rejection.status(), StatusCode::BAD_REQUEST, "{query}");
            assert_eq!(rejection.text(), text);
        }
    }
}
