//! Header lists to measure with. SPDY's are test vectors of the repository. HPACK's
//! are a third-party corpus beside the workspace; if it is absent, one synthetic
//! story takes its place. A line on standard error then says that the figures
//! compare with no others.

use std::path::{Path, PathBuf};
use std::{env, fs};

use bytes::Bytes;
use serde_json::Value;

/// A header list: names and values in wire order.
pub type HeaderList = Vec<(Bytes, Bytes)>;

/// The header lists of one direction of one connection: one compression context.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its source.
    pub name: String,
    /// The lists, in order.
    pub lists: Vec<HeaderList>,
}

impl Story {
    /// Fields in all lists.
    pub fn fields(&self) -> usize {
        self.lists.iter().map(Vec::len).sum()
    }

    /// Bytes of names and values in all lists.
    pub fn bytes(&self) -> usize {
        let fields = self.lists.iter().flatten();
        fields.map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// Stories 20 to 30 of hpack-test-case's `raw-data`: real browsers' requests, on
/// which the project's figures are measured.
pub fn hpack_stories() -> Vec<Story> {
    let folder = shared().join("vectors/hpack/hpack-test-case/raw-data");
    let stories: Option<Vec<Story>> = (20..=30)
        .map(|number| {
            let name = format!("story_{number}");
            let json = read_json(&folder.join(format!("{name}.json")))?;
            let cases = json.get("cases")?.as_array()?;
            let lists = cases.iter().map(|case| raw_list(case.get("headers")?));
            Some(Story {
                name,
                lists: lists.collect::<Option<_>>()?,
            })
        })
        .collect();
    stories.unwrap_or_else(|| {
        crate::note!(
            "no corpus in {}: measuring a synthetic story",
            folder.display()
        );
        vec![synthetic()]
    })
}

/// Consecutive header blocks of one SPDY connection direction, as some peer
/// compressed them, and what they hold.
#[derive(Clone, Debug)]
pub struct SpdySequence {
    /// File name without `.json`.
    pub name: String,
    /// The header lists; several values of one name are joined by NUL.
    pub story: Story,
    /// The compressed blocks.
    pub blocks: Vec<Bytes>,
}

/// Two sequences of SPDY/3: real requests and responses, compressed by spdylay
/// (zlib's own deflate).
///
/// # Errors
///
/// Names the vector that cannot be read.
pub fn spdy_sequences() -> Result<Vec<SpdySequence>, String> {
    let vectors = "../frames/tests/vectors/spdy/header-sequences";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(vectors);
    let names = ["v3-requests-spdylay", "v3-responses-spdylay"];
    let sequences = names.into_iter().map(|name| {
        spdy_sequence(&folder, name).ok_or_else(|| format!("cannot read {name} in {vectors}"))
    });
    sequences.collect()
}

fn spdy_sequence(folder: &Path, name: &str) -> Option<SpdySequence> {
    let json = read_json(&folder.join(format!("{name}.json")))?;
    let (mut lists, mut blocks) = (Vec::new(), Vec::new());
    for block in json.get("blocks")?.as_array()? {
        blocks.push(from_hex(block.get("hex")?.as_str()?)?);
        let pairs = block.get("headers")?.as_array()?.iter();
        let list = pairs.map(|pair| {
            let text = |index| pair.get(index).and_then(Value::as_str).and_then(latin1);
            Some((text(0)?, text(1)?))
        });
        lists.push(list.collect::<Option<HeaderList>>()?);
    }
    Some(SpdySequence {
        name: name.into(),
        story: Story {
            name: name.into(),
            lists,
        },
        blocks,
    })
}

/// Requests of a browser that walks through a site: the path and the referer
/// change, the rest repeats.
fn synthetic() -> Story {
    let lists = (0..100).map(|number| {
        let fields = [
            (":method", "GET".to_owned()),
            (":scheme", "https".to_owned()),
            (":authority", "www.example.com".to_owned()),
            (
                ":path",
                format!("/articles/{number}/page-{}", number * 7919),
            ),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)".to_owned()),
            ("accept", "text/html,*/*;q=0.8".to_owned()),
            ("accept-encoding", "gzip, deflate, br".to_owned()),
            (
                "referer",
                format!("https://www.example.com/articles/{}", number / 2),
            ),
            ("cookie", format!("id=8a3f0c1d; visits={}", number / 10)),
        ];
        let fields = fields.into_iter();
        fields
            .map(|(name, value)| (Bytes::from_static(name.as_bytes()), Bytes::from(value)))
            .collect()
    });
    Story {
        name: "synthetic".into(),
        lists: lists.collect(),
    }
}

/// A list in the form `[{"name": "value"}, …]`.
fn raw_list(headers: &Value) -> Option<HeaderList> {
    let fields = headers.as_array()?.iter().map(|field| {
        let (name, value) = field.as_object()?.iter().next()?;
        let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Some((text(name), text(value.as_str()?)))
    });
    fields.collect()
}

/// The bytes of a string of Latin-1 code points.
fn latin1(text: &str) -> Option<Bytes> {
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok());
    bytes.collect::<Option<Vec<u8>>>().map(Bytes::from)
}

fn from_hex(text: &str) -> Option<Bytes> {
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>().map(Bytes::from)
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// `$LACEWING_SHARED`, or `shared` beside the workspace.
fn shared() -> PathBuf {
    match env::var_os("LACEWING_SHARED") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    }
}
