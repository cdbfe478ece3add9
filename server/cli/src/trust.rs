//! The certificates that lacewingd trusts where it is a client itself.

use std::{fmt::Display, fs, path::Path};

use lacewing_client::tls::Certificates;

/// The certificates of other servers that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Mozilla,
    /// Those of other authorities too.
    Also(Authorities),
    /// Every certificate.
    Any,
}

impl Trust {
    pub(crate) fn certificates(&self) -> Certificates {
        match self {
            Self::Mozilla => Certificates::mozilla(),
            Self::Also(authorities) => authorities.all.clone(),
            Self::Any => Certificates::danger_accept_any(),
        }
    }
}

/// Authorities of a file, beside Mozilla's. Two are equal if their files had the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Authorities {
    pem: Vec<u8>,
    all: Certificates,
}

impl Authorities {
    /// Reads the file that the option `named` names.
    pub(crate) fn read(named: &str, file: &Path) -> Result<Self, String> {
        let failed = |error: &dyn Display| format!("{named}: {error}");
        let all = Certificates::mozilla().add_ca_file(file);
        Ok(Self {
            all: all.map_err(|error| failed(&error))?,
            pem: fs::read(file).map_err(|error| failed(&error))?,
        })
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for Authorities {}
