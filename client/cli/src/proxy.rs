//! Proxies: the options, the environment, and the way through them.

mod connect;
mod error;
mod socks;

use std::{borrow::Cow, error::Error, fmt, io, path::PathBuf, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use lacewing_client::{
    Connect as _, Connector, Dial, Dialed, Dialing, Origin, Resolve, ResolveError, Security, Tcp,
    tls::{CertificateError, Certificates, Tls},
};

pub(crate) use self::error::ProxyError;

/// The options about proxies.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ProxyArgs {
    /// Reach servers through this proxy: http, https (TLS to the proxy), socks5, or socks5h, where the
    /// proxy resolves the names; "" for none. HTTP proxies make a tunnel (CONNECT); `get` has http URLs
    /// forwarded in HTTP/1.1 with --http1.1, or if there is no tunnel for them. `get` also reads
    /// http_proxy, https_proxy, all_proxy and no_proxy, as curl does
    #[arg(short = 'x', long, value_name = "[SCHEME://][USER:PASSWORD@]HOST[:PORT]", value_parser = checked)]
    proxy: Option<String>,

    /// Trust the certificates of this PEM file, instead of Mozilla's roots, for https proxies
    #[arg(long, value_name = "FILE", conflicts_with = "proxy_insecure")]
    proxy_cacert: Option<PathBuf>,

    /// Accept any certificate of an https proxy: for tests only
    #[arg(long)]
    proxy_insecure: bool,

    /// Use tunnels alone: no HTTP proxy forwards requests in HTTP/1.1
    #[arg(long)]
    proxytunnel: bool,

    /// The name and the password for the proxy
    #[arg(short = 'U', long, value_name = "USER:PASSWORD", value_parser = credentials)]
    proxy_user: Option<Credentials>,

    /// Reach these hosts without a proxy: names with their subdomains, addresses, networks, or *
    #[arg(long, value_name = "HOST,…")]
    noproxy: Option<String>,
}

/// Whether the environment names proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    Read,
    Ignored,
}

/// The requests on the connections that are dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    /// Those for servers: a proxy makes a tunnel.
    Direct,
    /// Those for http servers are in HTTP/1.1 and name the whole URL: an HTTP proxy forwards them.
    Forwarded,
}

/// The proxies of the command line and the environment.
#[derive(Clone)]
pub(crate) struct Proxies {
    matcher: Arc<Matcher>,
    user: Option<Credentials>,
    proxytunnel: bool,
}

impl Proxies {
    fn of(&self, origin: &Origin) -> Option<Intercept> {
        let target = format!("{}:{}", bracketed(origin.host()), origin.port());
        let scheme = origin.security().scheme();
        let url: Uri = format!("{scheme}://{target}/").parse().ok()?;
        self.matcher.intercept(&url)
    }

    /// Returns whether an HTTP proxy can forward requests to this origin in HTTP/1.1 (RFC 9112 §3.2.2).
    pub(crate) fn forward(&self, origin: &Origin) -> bool {
        let proxy = self
            .of(origin)
            .filter(|_| origin.security() == Security::Cleartext && !self.proxytunnel);
        proxy.is_some_and(|proxy| Kind::of_proxy(&proxy).is_http())
    }

    /// The credentials for the proxy of this origin.
    pub(crate) fn authorization(&self, origin: &Origin) -> Option<HeaderValue> {
        let own = self.user.as_ref().map(|user| user.basic.clone());
        own.or_else(|| self.of(origin)?.basic_auth().cloned())
    }
}

/// Connects through the proxy of an origin, if it has one, and else by TCP.
pub(crate) struct Proxied {
    tcp: Tcp,
    /// For SOCKS without names.
    names: Arc<dyn Resolve>,
    certificates: Certificates,
    proxies: Proxies,
    requests: Requests,
}

/// Options about proxies that are of no use.
#[derive(Debug)]
pub(crate) enum DialError {
    /// A variable of the environment.
    Named(String),
    /// The file of --proxy-cacert.
    Authorities(CertificateError),
}

impl ProxyArgs {
    /// Returns the dialling through the proxies of the command line and the environment, with
    /// the same resolver as `tcp`.
    ///
    /// # Errors
    ///
    /// The text about a variable that names no proxy, or the file of certificates.
    pub(crate) fn dial(
        &self,
        tcp: Tcp,
        names: Arc<dyn Resolve>,
        environment: Environment,
        requests: Requests,
    ) -> Result<Proxied, DialError> {
        let certificates = match &self.proxy_cacert {
            _ if self.proxy_insecure => Certificates::danger_accept_any(),
            None => Certificates::mozilla(),
            Some(file) => {
                let certificates = Certificates::empty().add_ca_file(file);
                certificates.map_err(DialError::Authorities)?
            }
        };
        Ok(Proxied {
            tcp,
            names,
            certificates,
            proxies: self.proxies(environment)?,
            requests,
        })
    }

    /// The proxies of the command line and the environment.
    ///
    /// # Errors
    ///
    /// The text about a variable that names no proxy.
    pub(crate) fn proxies(&self, environment: Environment) -> Result<Proxies, DialError> {
        let variable = |names: &[&str]| match environment {
            Environment::Read => names.iter().find_map(|name| {
                let value = std::env::var(name).ok()?;
                (!value.is_empty()).then(|| ((*name).to_owned(), value))
            }),
            Environment::Ignored => None,
        };
        let named = |found: Option<(String, String)>| match found {
            None => Ok(String::new()),
            Some((name, value)) => {
                checked(&value).map_err(|error| DialError::Named(format!("{name}: {error}")))
            }
        };
        let mut builder = Matcher::builder();
        builder = match &self.proxy {
            Some(proxy) => builder.all(proxy.as_str()),
            // A CGI program has the client's field `Proxy` as HTTP_PROXY: only lower case is read.
            None => builder
                .http(named(variable(&["http_proxy"]))?)
                .https(named(variable(&["https_proxy", "HTTPS_PROXY"]))?)
                .all(named(variable(&["all_proxy", "ALL_PROXY"]))?),
        };
        let without = variable(&["no_proxy", "NO_PROXY"]).map(|(_, value)| value);
        let without = self.noproxy.clone().or(without).unwrap_or_default();
        if without.split(',').any(|host| host.trim() == "*") {
            // The matcher would except names alone, and not addresses.
            builder = Matcher::builder();
        }
        Ok(Proxies {
            matcher: Arc::new(builder.no(without).build()),
            user: self.proxy_user.clone(),
            proxytunnel: self.proxytunnel,
        })
    }
}

impl Dial for Proxied {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        match self.proxies.of(origin) {
            None => self.tcp.dial(origin),
            Some(proxy) => Box::pin(async move { self.through(&proxy, origin).await }),
        }
    }
}

impl Proxied {
    /// Connects to the proxy, and asks it for a tunnel.
    async fn through(&self, proxy: &Intercept, origin: &Origin) -> io::Result<Dialed> {
        let kind = Kind::of_proxy(proxy);
        let place = self.place(proxy, kind).map_err(io::Error::other)?;
        let name = format!("{}:{}", bracketed(place.host()), place.port());
        let unreachable = |source| ProxyError::Unreachable {
            proxy: name.clone(),
            source,
        };
        let dialed = match kind {
            Kind::Https => {
                let tls = Tls::with_certificates(self.certificates.clone(), Vec::new());
                let connector = Connector::tls(tls, None).http1().dial(self.tcp.clone());
                let connected = connector.connect(&place).await;
                let connected = connected.map_err(|source| ProxyError::Insecure {
                    proxy: name.clone(),
                    source,
                })?;
                Dialed::new(connected.io).at(connected.address)
            }
            Kind::Http | Kind::Socks5(_) => self.tcp.dial(&place).await.map_err(unreachable)?,
        };
        if self.requests == Requests::Forwarded && self.proxies.forward(origin) {
            return Ok(dialed);
        }
        match kind {
            Kind::Http | Kind::Https => {
                let own = self.proxies.user.as_ref().map(|user| &user.basic);
                let authorization = own.or(proxy.basic_auth());
                let target = format!("{}:{}", bracketed(origin.host()), origin.port());
                Ok(connect::tunnel(dialed, name, &target, authorization).await?)
            }
            Kind::Socks5(names) => {
                let own = self.proxies.user.as_ref();
                let own = own.map(|user| (&*user.name, &*user.password));
                let target = match names {
                    Names::Proxys => socks::Target::Name(origin.host(), origin.port()),
                    Names::Ours => {
                        let found = self.names.resolve(origin.host(), origin.port()).await;
                        let found = found.map_err(|error| ResolveError::new(Some(error)))?;
                        let first = found.first().ok_or(ResolveError::new(None))?;
                        socks::Target::Address(*first)
                    }
                };
                Ok(socks::tunnel(dialed, name, target, own.or(proxy.raw_auth())).await?)
            }
        }
    }

    /// The proxy's own origin.
    fn place(&self, proxy: &Intercept, kind: Kind) -> Result<Origin, Box<dyn Error + Send + Sync>> {
        let host = proxy.uri().host().unwrap_or_default();
        let port = proxy.uri().port_u16().unwrap_or(kind.default_port());
        let scheme = match kind {
            Kind::Https => "https",
            Kind::Http | Kind::Socks5(_) => "http",
        };
        let url: Uri = format!("{scheme}://{host}:{port}/").parse()?;
        Ok(Origin::of(&url)?)
    }
}

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    /// HTTP in TLS.
    Https,
    Socks5(Names),
}

/// Who resolves the names of servers behind a SOCKS proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// socks5
    Ours,
    /// socks5h
    Proxys,
}

impl Kind {
    fn of(scheme: &str) -> Option<Self> {
        Some(match &*scheme.to_ascii_lowercase() {
            "http" => Self::Http,
            "https" => Self::Https,
            "socks5" => Self::Socks5(Names::Ours),
            "socks5h" => Self::Socks5(Names::Proxys),
            _ => return None,
        })
    }

    fn of_proxy(proxy: &Intercept) -> Self {
        Self::of(proxy.uri().scheme_str().unwrap_or_default()).unwrap_or(Self::Http)
    }

    fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// The port of a proxy that is named without one, as in curl.
    fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http | Self::Socks5(_) => 1080,
        }
    }
}

fn bracketed(host: &str) -> Cow<'_, str> {
    match host.contains(':') {
        true => format!("[{host}]").into(),
        false => host.into(),
    }
}

/// A name and a password for a proxy.
#[derive(Clone)]
struct Credentials {
    name: String,
    password: String,
    basic: HeaderValue,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Checks that a text names a proxy; the empty one names none.
fn checked(text: &str) -> Result<String, String> {
    let text = match text.split_once("://") {
        None => text.to_owned(),
        // The matcher knows lower case alone.
        Some((scheme, rest)) if Kind::of(scheme).is_some() => {
            format!("{}://{rest}", scheme.to_ascii_lowercase())
        }
        Some((scheme, _)) => {
            return Err(format!(
                "a proxy of {scheme} is not supported; name one of http, https, socks5 or \
                 socks5h, such as http://proxy:3128"
            ));
        }
    };
    let known = Matcher::builder().all(&*text).build();
    let any = Uri::from_static("http://a.example/");
    let proxy = known.intercept(&any);
    if let Some(authority) = proxy.as_ref().and_then(|proxy| proxy.uri().authority()) {
        let port = authority.as_str().strip_prefix(authority.host());
        let port = port.unwrap_or_default().trim_start_matches(':');
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return Err(format!(
                "its port is {port}; a port is a number, at most 65535"
            ));
        }
    }
    match text.is_empty() || proxy.is_some() {
        true => Ok(text),
        false => Err("name a proxy as [SCHEME://][USER:PASSWORD@]HOST[:PORT]".to_owned()),
    }
}

fn credentials(text: &str) -> Result<Credentials, String> {
    let (name, password) = text.split_once(':').ok_or("write it as USER:PASSWORD")?;
    let value = format!("Basic {}", BASE64_STANDARD.encode(text));
    let mut basic = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
    basic.set_sensitive(true);
    Ok(Credentials {
        name: name.to_owned(),
        password: password.to_owned(),
        basic,
    })
}

#[cfg(test)]
mod tests {
    use lacewing_client::resolve_fn;

    use super::*;

    #[test]
    fn a_proxy_is_named_as_in_curl() {
        for good in [
            "",
            "proxy",
            "proxy:3128",
            "http://proxy",
            "HTTP://u:p@[::1]:3128/",
            "https://proxy",
            "socks5://u:p@proxy",
            "SOCKS5H://[::1]:9050",
        ] {
            assert!(checked(good).is_ok(), "{good:?}");
        }
        for bad in [
            "socks4://proxy",
            "ftp://proxy",
            "a b",
            "http://",
            "socks5://",
            "proxy:65536",
            "http://u:p@[::1]:99999/",
            "socks5h://proxy:99999",
        ] {
            let error = checked(bad).unwrap_err();
            let is_port = bad.contains("9999") || bad.contains("65536");
            assert_eq!(error.contains("at most 65535"), is_port, "{bad:?}: {error}");
        }
        assert_eq!(credentials("Aladdin:open sesame").unwrap().basic, {
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        });
        assert!(credentials("alone").is_err());
    }

    #[test]
    fn hosts_of_noproxy_are_reached_without_one() {
        let args = ProxyArgs {
            proxy: Some("proxy:1".to_owned()),
            noproxy: Some("a.example, 10.0.0.0/8, ::1".to_owned()),
            ..ProxyArgs::default()
        };
        let names = Arc::new(resolve_fn(|_, _| async { Ok::<_, io::Error>(Vec::new()) }));
        let dial = args
            .dial(Tcp::new(), names, Environment::Ignored, Requests::Direct)
            .unwrap();
        for (url, proxied) in [
            ("https://b.example/", true),
            ("http://nota.example/", true),
            ("http://a.example/", false),
            ("https://x.a.example:1/", false),
            ("http://10.1.2.3/", false),
            ("http://[::1]/", false),
            ("http://[::2]/", true),
        ] {
            let origin = Origin::of(&url.parse().unwrap()).unwrap();
            let found = dial.proxies.of(&origin);
            assert_eq!(found.is_some(), proxied, "{url}");
        }
    }
}
