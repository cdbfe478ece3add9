//! A frame as text: its title, and a line for each of its fields; as JSON; and the choice of frames.

use std::fmt;

use clap::Args;
use lacewing_conform::Side;
use serde_json::{Map, Value};

/// Which frames are shown.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FrameFilter {
    /// Show the frames of this stream only; may be repeated
    #[arg(long, value_name = "ID")]
    stream: Vec<u32>,

    /// Show the frames of this type only, such as HEADERS or SYN_STREAM; may be
    /// repeated
    #[arg(long = "type", value_name = "NAME")]
    kind: Vec<String>,

    /// Show the frames only that have this text in a header field; may be repeated
    #[arg(long = "match", value_name = "TEXT")]
    text: Vec<String>,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameText {
    title: String,
    details: Vec<String>,
}

/// Groups the lines of a log by frame. Lines without a title belong to a frame before them.
pub(crate) fn group(lines: Vec<String>) -> Vec<FrameText> {
    let mut frames: Vec<FrameText> = Vec::new();
    for line in lines {
        match (line.strip_prefix("    "), frames.last_mut()) {
            (Some(detail), Some(frame)) => frame.details.push(detail.to_owned()),
            (detail, _) => frames.push(FrameText {
                title: detail.unwrap_or(&line).to_owned(),
                details: Vec::new(),
            }),
        }
    }
    frames
}

impl FrameText {
    /// The name of its type.
    pub(crate) fn kind(&self) -> &str {
        match self.title.find(" stream=").or(self.title.find('=')) {
            // `PING id=1 …`
            Some(at) => {
                let before = self.title.get(..at).unwrap_or_default();
                before.split(' ').next().unwrap_or_default()
            }
            None => &self.title,
        }
    }

    pub(crate) fn stream(&self) -> Option<u32> {
        self.attributes()
            .find_map(|(name, value)| (name == "stream").then(|| value.parse().ok())?)
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// The length of its payload.
    pub(crate) fn length(&self) -> Option<u64> {
        self.attributes()
            .find_map(|(name, value)| (name == "length").then(|| value.parse().ok())?)
    }

    /// The version of a control frame of SPDY.
    pub(crate) fn version(&self) -> Option<u32> {
        self.attributes()
            .find_map(|(name, value)| (name == "version").then(|| value.parse().ok())?)
    }

    pub(crate) fn details(&self) -> &[String] {
        &self.details
    }

    fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.title
            .split(' ')
            .filter_map(|word| word.split_once('='))
    }

    /// One object. `flags` and `details` are lists, and numbers are numbers.
    pub(crate) fn json(&self, sender: Side) -> Map<String, Value> {
        let mut object = Map::new();
        let from = match sender {
            Side::Client => "client",
            Side::Server => "server",
        };
        object.insert("from".into(), from.into());
        object.insert("frame".into(), self.kind().into());
        for (name, value) in self.attributes() {
            let value = match value.parse::<u64>() {
                _ if name == "flags" => value.split('|').collect(),
                Ok(number) => number.into(),
                Err(_) => value.into(),
            };
            object.insert(name.into(), value);
        }
        object.insert("details".into(), self.details.clone().into());
        object
    }

    /// The lines, each after `mark`.
    pub(crate) fn marked(&self, mark: &str) -> Marked<'_> {
        Marked {
            frame: self,
            mark: mark.to_owned(),
        }
    }
}

/// The lines of a frame, each after a mark.
pub(crate) struct Marked<'a> {
    frame: &'a FrameText,
    mark: String,
}

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frame, mark } = self;
        writeln!(f, "{mark}{}", frame.title)?;
        for detail in &frame.details {
            writeln!(f, "{mark}    {detail}")?;
        }
        Ok(())
    }
}

impl FrameFilter {
    pub(crate) fn admits(&self, frame: &FrameText) -> bool {
        let stream = frame.stream();
        let of_stream =
            self.stream.is_empty() || stream.is_some_and(|id| self.stream.contains(&id));
        let kind = frame.kind();
        let of_kind =
            self.kind.is_empty() || self.kind.iter().any(|name| name.eq_ignore_ascii_case(kind));
        let has = |text: &String| {
            frame
                .details
                .iter()
                .any(|detail| detail.contains(text.as_str()))
        };
        of_stream && of_kind && (self.text.is_empty() || self.text.iter().any(has))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<FrameText> {
        let lines = [
            "connection preface",
            "HEADERS stream=3 length=5 flags=END_STREAM|END_HEADERS",
            "    :method: GET",
            "    :path: /a=b",
            "PING id=7 version=3 length=4",
        ];
        group(lines.map(str::to_owned).to_vec())
    }

    #[test]
    fn titles_have_a_type_and_attributes() {
        let frames = frames();
        let kinds: Vec<_> = frames.iter().map(FrameText::kind).collect();
        assert_eq!(kinds, ["connection preface", "HEADERS", "PING"]);
        let streams: Vec<_> = frames.iter().map(FrameText::stream).collect();
        assert_eq!(streams, [None, Some(3), None]);
        let json = Value::from(frames[1].json(Side::Client));
        let expected = serde_json::json!({
            "from": "client",
            "frame": "HEADERS",
            "stream": 3,
            "length": 5,
            "flags": ["END_STREAM", "END_HEADERS"],
            "details": [":method: GET", ":path: /a=b"],
        });
        assert_eq!(json, expected);
        let text = frames[1].marked("> ").to_string();
        assert!(
            text.ends_with(">     :method: GET\n>     :path: /a=b\n"),
            "{text}"
        );
    }

    #[test]
    fn filters_choose_frames() {
        let chosen = |filter: FrameFilter| {
            let frames = frames();
            let chosen = frames.iter().filter(|frame| filter.admits(frame));
            chosen
                .map(|frame| frame.kind().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(chosen(FrameFilter::default()).len(), 3);
        let filter = FrameFilter {
            stream: vec![3],
            ..FrameFilter::default()
        };
        assert_eq!(chosen(filter), ["HEADERS"]);
        let filter = FrameFilter {
            kind: vec!["ping".into()],
            ..FrameFilter::default()
        };
        assert_eq!(chosen(filter), ["PING"]);
        let filter = FrameFilter {
            text: vec!["path: /a".into()],
            ..FrameFilter::default()
        };
        assert_eq!(chosen(filter), ["HEADERS"]);
    }
}
