//! The meaning of a frame, by its text.

use crate::frame_text::FrameText;

/// The most letters of a path that are kept.
const MAX_PATH: usize = 300;

/// The meaning of a frame, as far as streams and windows are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A request: `GET /`. A push, if the server sent it.
    Open(String),
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
    let opens = || {
        let method = detail(&[":method: ", "method: "]).unwrap_or_else(|| "GET".to_owned());
        let path = detail(&[":path: ", "url: "])?;
        let path: String = path.chars().take(MAX_PATH).collect();
        Some(What::Open(format!("{method} {path}")))
    };
    let status = detail(&[":status: ", "status: "]).map(|status| {
        let code = status.split(' ').next().unwrap_or_default();
        What::Head(code.to_owned())
    });
    let what = match frame.kind() {
        "DATA" => frame.length().map(What::Data),
        "WINDOW_UPDATE" => number(&["increment=", "delta="]).map(What::Credit),
        "SETTINGS" => number(&["SETTINGS_INITIAL_WINDOW_SIZE = "]).map(What::InitialWindow),
        "RST_STREAM" => frame.details().first().cloned().map(What::Reset),
        "PUSH_PROMISE" => {
            let promised = detail(&["promised stream="]).and_then(|id| id.parse().ok());
            return vec![(promised.unwrap_or(0), opens().unwrap_or(What::Other), false)];
        }
        // A pushed SYN_STREAM has both.
        "SYN_STREAM" if status.is_some() => {
            let open = (stream, opens().unwrap_or(What::Other), false);
            return vec![open, (stream, status.unwrap_or(What::Other), fin)];
        }
        "HEADERS" | "SYN_STREAM" | "SYN_REPLY" => status.or_else(opens),
        _ => None,
    };
    vec![(stream, what.unwrap_or(What::Other), fin)]
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
            "SYN_STREAM stream=2 version=3 length=9 flags=FLAG_FIN",
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
        ];
        let expected = [
            (1, What::Data(300), true),
            (0, What::Credit(1000), false),
            (5, What::Credit(7), false),
            (0, What::InitialWindow(65_536), false),
            (1, What::Reset(text("CANCEL")), false),
            (0, What::Other, false),
        ];
        assert_eq!(of(&others), expected);
    }
}
