/** The prefix binds them to this host, to TLS (or the host itself), and to the whole of it (RFC 6265bis section 4.1.3.2). */
export const SESSION_COOKIE = '__Host-sallyport';
export const OIDC_COOKIE = '__Host-sallyport-oidc';
