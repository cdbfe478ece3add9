//! The parameters of a table: a version, and a server's resources.

use lacewing_frames::Version;

use crate::target::Target;

use super::block::Block;

/// A version and the resources of a server under test.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    pub(super) version: Version,
    pub(super) target: Target,
}

impl Dialect {
    pub(super) fn is_2(&self) -> bool {
        self.version == Version::Spdy2
    }

    /// The name of `method`, `path`, `version`, `host`, `scheme` or `status`
    /// in a header block.
    pub(super) fn name(&self, name: &str) -> String {
        match (self.is_2(), name) {
            (true, "path") => "url".into(),
            (true, name) => name.into(),
            (false, name) => format!(":{name}"),
        }
    }

    pub(super) fn request(&self, method: &str, path: &str) -> Block {
        Block::new([])
            .and(self.name("method"), method)
            .and(self.name("path"), path)
            .and(self.name("version"), "HTTP/1.1")
            .and(self.name("host"), &self.target.authority)
            .and(self.name("scheme"), &self.target.scheme)
    }

    pub(super) fn get(&self) -> Block {
        self.request("GET", &self.target.path)
    }

    pub(super) fn get_large(&self) -> Block {
        self.request("GET", &self.target.large_path)
    }

    pub(super) fn post(&self) -> Block {
        self.request("POST", &self.target.post_path)
    }

    /// The head of a response.
    pub(super) fn reply(&self, status: &str) -> Block {
        Block::new([])
            .and(self.name("status"), status)
            .and(self.name("version"), "HTTP/1.1")
    }

    /// The head of a pushed stream: request and response.
    pub(super) fn pushed(&self, host: &str) -> Block {
        let block = match self.is_2() {
            true => Block::new([]).and("url", format!("http://{host}/pushed")),
            false => Block::new([])
                .and(":scheme", "http")
                .and(":host", host)
                .and(":path", "/pushed"),
        };
        block
            .and(self.name("status"), "200")
            .and(self.name("version"), "HTTP/1.1")
    }
}
