//! CREDENTIAL (section 2.6.9).

use bytes::{BufMut, Bytes, BytesMut};

use super::head::{self, ControlHead};
use super::{DecodeError, EncodeError, Kind, WireVersion};

/// CREDENTIAL: a client certificate for the streams that name its slot (section 2.6.9).
///
/// SPDY/3 only. SPDY/3.1 removed it, and its receivers ignore it. It was never deployed.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{Credential, Frame, WireVersion};
///
/// let frame = Frame::Credential(Credential {
///     slot: 1,
///     proof: Bytes::from_static(b"proof"),
///     certificates: vec![Bytes::from_static(b"der")],
///     undefined_flags: 0,
/// });
/// let mut wire = BytesMut::new();
/// frame.encode(WireVersion::V3, &mut wire)?;
/// assert_eq!(wire[8..], *b"\0\x01\0\0\0\x05proof\0\0\0\x03der");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The slot for the certificate. The first slot is 1.
    pub slot: u16,
    /// The client's proof that it has the private key, as in TLS.
    pub proof: Bytes,
    /// The certificate chain in DER, the client's own certificate first.
    pub certificates: Vec<Bytes>,
    /// The flags, which have no meaning. Kept, and ignored.
    pub undefined_flags: u8,
}

impl Credential {
    pub(crate) fn parse(
        head: ControlHead,
        payload: &Bytes,
        max_certificates: usize,
    ) -> Result<Credential, DecodeError> {
        let too_short = DecodeError::CredentialLength {
            length: head.length,
        };
        let (slot, rest) = payload.split_first_chunk().ok_or(too_short)?;
        let (proof, mut rest) = split_string(rest).ok_or(too_short)?;
        let mut certificates = Vec::new();
        while !rest.is_empty() {
            if certificates.len() == max_certificates {
                let limit = max_certificates;
                return Err(DecodeError::TooManyCertificates { limit });
            }
            let certificate;
            (certificate, rest) = split_string(rest).ok_or(too_short)?;
            certificates.push(payload.slice_ref(certificate));
        }
        Ok(Credential {
            slot: u16::from_be_bytes(*slot),
            proof: payload.slice_ref(proof),
            certificates,
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let strings = || core::iter::once(&self.proof).chain(&self.certificates);
        let length = strings().fold(2usize, |length, string| {
            length.saturating_add(string.len()).saturating_add(4)
        });
        head::put_control(dst, version, Kind::CREDENTIAL, self.undefined_flags, length)?;
        dst.put_u16(self.slot);
        for string in strings() {
            dst.put_u32(head::checked_length(string.len())?);
            dst.put_slice(string);
        }
        Ok(())
    }
}

/// Splits off a string with a length of 32 bits before it. Returns the string and the rest.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = head::split_u32(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}
