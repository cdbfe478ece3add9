//! The meaning of a frame, by its text.

use crate::frame_text::FrameText;

/// The most letters of a path that are kept.
const MAX_PATH: usize = 300;

/// The meaning of a frame, as far as streams and windows are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A request: `GET /`, or `CONNECT example.org:443`. A push, if the server sent it. Empty: a
    /// stream without HTTP, which either side may open.
    Open(String),
    /// Fields of HTTP/2 that are no head: trailers, or the begin of a stream without HTTP.
    Fields,
    /// The head of a response, with its status.
    Head(String),
    Data(u64),
    Credit(i64),
    /// The initial window of streams, from now on.
    InitialWindow(i64),
    Reset(String),
    Other,
}

/// What a frame says: about one stream, or in a push about two.
pub(crate) fn meanings(frame: &FrameText) -> Vec<(u32, What, bool)> {
    let stream = frame.stream().unwrap_or(0);
    let title = frame.title();
    let fin = title.contains("END_STREAM") || title.contains("FLAG_FIN");
    let detail = |names: &[&str]| {
        let found = frame.details().iter().find_map(|line| {
            let name = names.iter().find(|name| line.starts_with(**name))?;
            line.get(name.len()..)
        });
        found.map(str::to_owned)
    };
    let number = |names: &[&str]| {
        let text = detail(names)?;
        text.split(' ').next()?.parse::<i64>().ok()
    };
    let names = Names::of(frame);
    let opens = || {
        let method = detail(&[names.method]);
        let path = detail(&[names.path]);
        if method.is_none() && path.is_none() {
            return None;
        }
        // A push of SPDY has no method, and CONNECT no path.
        let method = method.unwrap_or_else(|| "GET".to_owned());
        let target = path.or_else(|| detail(&[names.authority]));
        let target: String = target.unwrap_or_default().chars().take(MAX_PATH).collect();
        Some(What::Open(format!("{method} {target}")))
    };
    let status = || {
        let status = detail(&[names.status])?;
        let code = status.split(' ').next().unwrap_or_default();
        Some(What::Head(code.to_owned()))
    };
    let what = match frame.kind() {
        "DATA" => frame.length().map(What::Data),
        "WINDOW_UPDATE" => number(&["increment=", "delta="]).map(What::Credit),
        "SETTINGS" => number(&["SETTINGS_INITIAL_WINDOW_SIZE = "]).map(What::InitialWindow),
        "RST_STREAM" => frame.details().first().cloned().map(What::Reset),
        "PUSH_PROMISE" => {
            let promised = detail(&["promised stream="]).and_then(|id| id.parse().ok());
            return vec![(promised.unwrap_or(0), opens().unwrap_or(What::Other), false)];
        }
        "SYN_STREAM" => {
            let open = opens().unwrap_or_else(|| What::Open(String::new()));
            // A push has its response with it. In a request, the name is any field's.
            let is_push = title.contains("FLAG_UNIDIRECTIONAL");
            let Some(status) = is_push.then(status).flatten() else {
                return vec![(stream, open, fin)];
            };
            return vec![(stream, open, false), (stream, status, fin)];
        }
        "SYN_REPLY" => status(),
        "HEADERS" if names == SPDY2 || names == SPDY3 => status(),
        "HEADERS" => status().or_else(opens).or(Some(What::Fields)),
        _ => None,
    };
    vec![(stream, what.unwrap_or(What::Other), fin)]
}

/// The names of the fields that every request or response has.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Names {
    method: &'static str,
    path: &'static str,
    authority: &'static str,
    status: &'static str,
}

/// RFC 9113 §8.3.
const HTTP2: Names = Names {
    method: ":method: ",
    path: ":path: ",
    authority: ":authority: ",
    status: ":status: ",
};

/// SPDY/3 §3.2.1.
const SPDY3: Names = Names {
    authority: ":host: ",
    ..HTTP2
};

/// SPDY/2, "Request/Response".
const SPDY2: Names = Names {
    method: "method: ",
    path: "url: ",
    authority: "host: ",
    status: "status: ",
};

impl Names {
    /// Those of the frame's protocol.
    fn of(frame: &FrameText) -> Self {
        match frame.version() {
            None => HTTP2,
            Some(2) => SPDY2,
            Some(_) => SPDY3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame_text::group;

    fn of(lines: &[&str]) -> Vec<(u32, What, bool)> {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        group(lines).iter().flat_map(meanings).collect()
    }

    #[test]
    fn frames_of_all_protocols_have_their_meaning() {
        let text = str::to_owned;
        let request = [
            "HEADERS stream=3 length=5 flags=END_STREAM|END_HEADERS",
            "    :method: GET",
            "    :path: /a",
        ];
        assert_eq!(of(&request), [(3, What::Open(text("GET /a")), true)]);
        let reply = [
            "SYN_REPLY stream=1 version=2 length=9",
            "    status: 200 OK",
        ];
        assert_eq!(of(&reply), [(1, What::Head(text("200")), false)]);
        let push = [
            "PUSH_PROMISE stream=1 length=9 flags=END_HEADERS",
            "    promised stream=2",
            "    :method: GET",
            "    :path: /b",
        ];
        assert_eq!(of(&push), [(2, What::Open(text("GET /b")), false)]);
        let push = [
            "SYN_STREAM stream=2 version=3 length=9 flags=FLAG_FIN|FLAG_UNIDIRECTIONAL",
            "    :path: /b",
            "    :status: 200",
        ];
        let both = [
            (2, What::Open(text("GET /b")), false),
            (2, What::Head(text("200")), true),
        ];
        assert_eq!(of(&push), both);
        let others = [
            "DATA stream=1 length=300 flags=FLAG_FIN",
            "WINDOW_UPDATE stream=0 length=4",
            "    increment=1000",
            "WINDOW_UPDATE stream=5 version=3 length=8",
            "    delta=7",
            "SETTINGS version=3 length=12",
            "    SETTINGS_INITIAL_WINDOW_SIZE = 65536 flags=FLAG_SETTINGS_PERSISTED",
            "RST_STREAM stream=1 length=4",
            "    CANCEL",
            "PING id=1 version=3 length=4",
            "HEADERS stream=1 length=4 flags=END_STREAM",
            "    x-checksum: 7",
        ];
        let expected = [
            (1, What::Data(300), true),
            (0, What::Credit(1000), false),
            (5, What::Credit(7), false),
            (0, What::InitialWindow(65_536), false),
            (1, What::Reset(text("CANCEL")), false),
            (0, What::Other, false),
            (1, What::Fields, true),
        ];
        assert_eq!(of(&others), expected);
    }

    #[test]
    fn names_of_another_protocol_are_those_of_any_field() {
        let named = [
            "HEADERS stream=5 length=5",
            "    :method: GET",
            "    :path: /c",
            "    status: 404",
            "    url: /d",
            "SYN_STREAM stream=5 version=3 length=5",
            "    :method: GET",
            "    :path: /c",
            "    status: 404",
            "SYN_STREAM stream=5 version=2 length=5",
            "    method: GET",
            "    status: 404",
            "    url: /c",
            "HEADERS stream=5 version=2 length=5",
            "    url: /d",
        ];
        let opened = (5, What::Open("GET /c".to_owned()), false);
        let expected = [
            opened.clone(),
            opened.clone(),
            opened,
            (5, What::Other, false),
        ];
        assert_eq!(of(&named), expected);
    }

    #[test]
    fn a_stream_without_a_path_opens_all_the_same() {
        let streams = [
            "HEADERS stream=1 length=5",
            "    :method: CONNECT",
            "    :authority: a.example:443",
            "SYN_STREAM stream=3 version=3 length=5",
            "    :host: a.example:443",
            "    :method: CONNECT",
            "SYN_STREAM stream=5 version=2 length=5",
            "    host: a.example:443",
            "    method: CONNECT",
            "SYN_STREAM stream=7 version=3 length=5 flags=FLAG_FIN",
            "    priority=0",
        ];
        let connect = || What::Open("CONNECT a.example:443".to_owned());
        let expected = [
            (1, connect(), false),
            (3, connect(), false),
            (5, connect(), false),
            (7, What::Open(String::new()), true),
        ];
        assert_eq!(of(&streams), expected);
    }
}
