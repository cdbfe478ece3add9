//! HTTP proxies: the options, the environment, and the tunnel by CONNECT (RFC 9110 §9.3.6).

use std::{fmt, io};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper_util::{
    client::proxy::matcher::{Intercept, Matcher},
    rt::TokioIo,
};
use lacewing_client::{Dial, Dialed, Dialing, Origin, Security, Tcp};

/// The port of a proxy that is named without one, as in curl.
const DEFAULT_PORT: u16 = 1080;

/// The options about proxies.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ProxyArgs {
    /// Reach servers through this HTTP proxy, by CONNECT for http URLs too; "" for none. `get` also
    /// reads http_proxy, https_proxy, all_proxy and no_proxy, as curl does
    #[arg(short = 'x', long, value_name = "[http://][USER:PASSWORD@]HOST[:PORT]", value_parser = checked)]
    proxy: Option<String>,

    /// The name and the password for the proxy
    #[arg(short = 'U', long, value_name = "USER:PASSWORD", value_parser = credentials)]
    proxy_user: Option<HeaderValue>,

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

/// Connects through the proxy of an origin, if it has one, and else by TCP.
pub(crate) struct Proxied {
    tcp: Tcp,
    proxies: Matcher,
    user: Option<HeaderValue>,
}

/// A proxy that makes no tunnel.
#[derive(Debug)]
pub(crate) enum ProxyError {
    /// The proxy's name has no address, or no connection was made.
    Unreachable { proxy: String, source: io::Error },
    /// The proxy answered so.
    Refused { proxy: String, status: StatusCode },
    /// The exchange with the proxy broke.
    Broken { proxy: String, source: hyper::Error },
}

impl ProxyArgs {
    /// Returns the dialling through the proxies of the command line and the environment.
    ///
    /// # Errors
    ///
    /// The text about a variable that names no proxy of HTTP.
    pub(crate) fn dial(&self, tcp: Tcp, environment: Environment) -> Result<Proxied, String> {
        let variable = |names: &[&str]| match environment {
            Environment::Read => names.iter().find_map(|name| {
                let value = std::env::var(name).ok()?;
                (!value.is_empty()).then(|| ((*name).to_owned(), value))
            }),
            Environment::Ignored => None,
        };
        let named = |found: Option<(String, String)>| match found {
            None => Ok(String::new()),
            Some((name, value)) => checked(&value).map_err(|error| format!("{name}: {error}")),
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
        Ok(Proxied {
            tcp,
            proxies: builder.no(without).build(),
            user: self.proxy_user.clone(),
        })
    }
}

impl Dial for Proxied {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            let (host, port) = (origin.host(), origin.port());
            let target = match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            };
            let scheme = match origin.security() {
                Security::Tls => "https",
                Security::Cleartext => "http",
            };
            let url: Option<Uri> = format!("{scheme}://{target}/").parse().ok();
            match url.and_then(|url| self.proxies.intercept(&url)) {
                None => self.tcp.dial(origin).await,
                Some(proxy) => self.tunnel(&proxy, &target).await.map_err(io::Error::other),
            }
        })
    }
}

impl Proxied {
    async fn tunnel(&self, proxy: &Intercept, target: &str) -> Result<Dialed, ProxyError> {
        let host = proxy.uri().host().unwrap_or_default();
        let port = proxy.uri().port_u16().unwrap_or(DEFAULT_PORT);
        let name = format!("{host}:{port}");
        let unreachable = |source| ProxyError::Unreachable {
            proxy: name.clone(),
            source,
        };
        let url = format!("http://{name}/").parse().map_err(io::Error::other);
        let origin = url.and_then(|url: Uri| Origin::of(&url).map_err(io::Error::other));
        let origin = origin.map_err(unreachable)?;
        let Dialed { io, address, .. } = self.tcp.dial(&origin).await.map_err(unreachable)?;
        let broken = |source| ProxyError::Broken {
            proxy: name.clone(),
            source,
        };
        let handshake = hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(io));
        let (mut sender, connection) = handshake.await.map_err(broken)?;
        // It ends with the tunnel, or when the sender is dropped.
        tokio::spawn(connection.with_upgrades());
        let authorization = self.user.as_ref().or(proxy.basic_auth());
        let sent = sender.send_request(connect(target, authorization));
        let response = sent.await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            return Err(ProxyError::Refused {
                proxy: name,
                status,
            });
        }
        let tunnel = hyper::upgrade::on(response).await.map_err(broken)?;
        Ok(Dialed::new(TokioIo::new(tunnel)).at(address))
    }
}

fn connect(target: &str, authorization: Option<&HeaderValue>) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    if let Ok(uri) = target.parse() {
        *request.uri_mut() = uri;
    }
    let fields = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(target) {
        fields.insert(header::HOST, host);
    }
    let agent = concat!("lacewing/", env!("CARGO_PKG_VERSION"));
    fields.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    if let Some(authorization) = authorization {
        fields.insert(header::PROXY_AUTHORIZATION, authorization.clone());
    }
    request
}

/// Checks that a text names a proxy of HTTP; the empty one names none.
fn checked(text: &str) -> Result<String, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if let Some(scheme) = scheme.filter(|scheme| !scheme.eq_ignore_ascii_case("http")) {
        return Err(format!(
            "a proxy of {scheme} is not supported; name one of HTTP, such as http://proxy:3128"
        ));
    }
    let known = Matcher::builder().all(text).build();
    let any = Uri::from_static("http://a.example/");
    match text.is_empty() || known.intercept(&any).is_some() {
        true => Ok(text.to_owned()),
        false => Err("name a proxy as [http://][USER:PASSWORD@]HOST[:PORT]".to_owned()),
    }
}

fn credentials(text: &str) -> Result<HeaderValue, String> {
    if !text.contains(':') {
        return Err("write it as USER:PASSWORD".to_owned());
    }
    let value = format!("Basic {}", BASE64_STANDARD.encode(text));
    let mut value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

impl ProxyError {
    /// Why there is no connection to the proxy, if that is the reason.
    pub(crate) fn unreachable(&self) -> Option<&io::Error> {
        match self {
            Self::Unreachable { source, .. } => Some(source),
            Self::Refused { .. } | Self::Broken { .. } => None,
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { proxy, source } => {
                write!(f, "the proxy {proxy} cannot be reached: {source}")
            }
            Self::Refused { proxy, status } => {
                write!(f, "the proxy {proxy} makes no tunnel: it answered {status}")?;
                match status.as_u16() {
                    407 => f.write_str("; give a name and a password by --proxy-user"),
                    _ => Ok(()),
                }
            }
            Self::Broken { proxy, source } => {
                write!(f, "the proxy {proxy} did not answer to CONNECT: {source}")
            }
        }
    }
}

impl std::error::Error for ProxyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_as_in_curl() {
        for good in [
            "",
            "proxy",
            "proxy:3128",
            "http://proxy",
            "HTTP://u:p@[::1]:3128/",
        ] {
            assert!(checked(good).is_ok(), "{good:?}");
        }
        for bad in ["socks5://proxy", "https://proxy", "a b", "http://"] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
        assert_eq!(credentials("Aladdin:open sesame").unwrap(), {
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        });
        assert!(credentials("alone").is_err());
    }

    #[test]
    fn hosts_of_noproxy_are_reached_without_one() {
        let args = ProxyArgs {
            proxy: Some("proxy:1".to_owned()),
            proxy_user: None,
            noproxy: Some("a.example, 10.0.0.0/8, ::1".to_owned()),
        };
        let dial = args.dial(Tcp::new(), Environment::Ignored).unwrap();
        for (url, proxied) in [
            ("https://b.example/", true),
            ("http://nota.example/", true),
            ("http://a.example/", false),
            ("https://x.a.example:1/", false),
            ("http://10.1.2.3/", false),
            ("http://[::1]/", false),
            ("http://[::2]/", true),
        ] {
            let found = dial.proxies.intercept(&url.parse().unwrap());
            assert_eq!(found.is_some(), proxied, "{url}");
        }
    }
}
