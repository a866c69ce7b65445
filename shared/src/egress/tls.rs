//! TLS for calls to receivers and to AWS, by rustls with `ring`: AWS-LC spends 24 ms on entropy when it starts.

use std::sync::Arc;

use rustls::{
    CipherSuite, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// Settings that trust the roots that browsers trust.
pub(super) fn webpki() -> ClientConfig {
    with(webpki_roots())
}

/// [`webpki`] that also trusts these certificates, in PEM. It fails if they do not parse.
pub(super) fn webpki_and(certificates: &[u8]) -> anyhow::Result<ClientConfig> {
    Ok(with(extended(webpki_roots(), certificates)?))
}

/// Settings that trust these certificates only, in PEM. It fails if they do not parse.
pub(crate) fn trusting(certificates: &[u8]) -> anyhow::Result<ClientConfig> {
    Ok(with(extended(RootCertStore::empty(), certificates)?))
}

fn webpki_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn extended(mut roots: RootCertStore, certificates: &[u8]) -> anyhow::Result<RootCertStore> {
    for certificate in CertificateDer::pem_slice_iter(certificates) {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

fn with(roots: RootCertStore) -> ClientConfig {
    let mut provider = ring::default_provider();
    // Every server has this suite (RFC 8446, section 9.1), and browsers prefer it too. A handshake with
    // SHA-384 takes 0.1 million instructions more.
    provider.cipher_suites.sort_by_key(|it| it.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
