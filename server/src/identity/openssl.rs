//! The certificate chain and the key of an identity, in OpenSSL's types.

use openssl::{
    error::ErrorStack,
    pkey::{PKey, Private},
    ssl::SslRef,
    x509::X509,
};

use super::Pair;

#[derive(Debug)]
pub(super) struct Converted {
    own: X509,
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Pair {
    /// Checks that OpenSSL accepts the certificates and the key.
    pub(crate) fn check_for_openssl(&self) -> Result<(), ErrorStack> {
        self.converted().map(|_| ())
    }

    /// Sets the certificate chain and the key of one connection.
    pub(crate) fn show(&self, ssl: &mut SslRef) -> Result<(), ErrorStack> {
        let converted = self.converted()?;
        ssl.set_certificate(&converted.own)?;
        for certificate in &converted.chain {
            ssl.add_chain_cert(certificate.clone())?;
        }
        ssl.set_private_key(&converted.key)
    }

    fn converted(&self) -> Result<&Converted, ErrorStack> {
        if let Some(converted) = self.openssl.get() {
            return Ok(converted);
        }
        let mut chain = self.chain().iter();
        let own = chain.next().map_or(&[][..], |own| own);
        let converted = Converted {
            own: X509::from_der(own)?,
            chain: chain
                .map(|certificate| X509::from_der(certificate))
                .collect::<Result<_, _>>()?,
            key: PKey::private_key_from_der(self.key.secret_der())?,
        };
        Ok(self.openssl.get_or_init(|| converted))
    }
}
