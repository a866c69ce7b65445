//! Public IP addresses.
//!
//! Anyone may give us a URL, and we call it from inside our own network. So we only call what is
//! plainly a server on the public Internet:
//!
//! ```text
//! IPv4   all but IANA's special-purpose blocks and multicast
//! IPv6   2000::/3 alone, of it all but IANA's special-purpose blocks and ISATAP's interface ids
//! ```
//!
//! IANA's registry marks some special blocks as globally reachable (relays, anycast services).
//! Receivers of callbacks do not live there, so these blocks are refused too. IPv6 addresses that
//! carry an IPv4 address are refused whatever they carry, because a translator on the way may lead
//! anywhere. Most of these forms lie outside `2000::/3` (mapped, compatible, translated, NAT64).
//! 6to4 and Teredo have their own blocks within it. ISATAP hides in the lower half of any address.
//!
//! A network's own NAT64 or 6rd prefix cannot be seen in an address. The operator has to block
//! such a prefix in the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// IPv4 blocks that are not public: [IANA's registry][registry], without blocks inside of others,
/// and multicast, which has its own registry.
///
/// [registry]: https://www.iana.org/assignments/iana-ipv4-special-registry
const SPECIAL_V4: [Ipv4Net; 18] = [
    v4(0, 0, 0, 0, 8),       // "This network".
    v4(10, 0, 0, 0, 8),      // Private.
    v4(100, 64, 0, 0, 10),   // Shared between a provider and its customers.
    v4(127, 0, 0, 0, 8),     // Loopback.
    v4(169, 254, 0, 0, 16),  // Link-local, with the metadata services of clouds.
    v4(172, 16, 0, 0, 12),   // Private.
    v4(192, 0, 0, 0, 24),    // IETF protocols.
    v4(192, 0, 2, 0, 24),    // Documentation.
    v4(192, 31, 196, 0, 24), // AS112.
    v4(192, 52, 193, 0, 24), // AMT.
    v4(192, 88, 99, 0, 24),  // 6to4 relays.
    v4(192, 168, 0, 0, 16),  // Private.
    v4(192, 175, 48, 0, 24), // AS112.
    v4(198, 18, 0, 0, 15),   // Benchmarks.
    v4(198, 51, 100, 0, 24), // Documentation.
    v4(203, 0, 113, 0, 24),  // Documentation.
    MULTICAST_V4,
    v4(240, 0, 0, 0, 4), // Reserved, and broadcast.
];

const MULTICAST_V4: Ipv4Net = v4(224, 0, 0, 0, 4);

/// All IPv6 addresses that IANA has allocated for use between networks (RFC 4291, section 2.4).
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// IPv6 blocks within [`GLOBAL_V6`] that are not public: [IANA's registry][registry].
///
/// [registry]: https://www.iana.org/assignments/iana-ipv6-special-registry
const SPECIAL_V6: [Ipv6Net; 5] = [
    v6(0x2001, 0, 0, 23),         // IETF protocols, including Teredo.
    v6(0x2001, 0xdb8, 0, 32),     // Documentation.
    v6(0x2002, 0, 0, 16),         // 6to4.
    v6(0x2620, 0x4f, 0x8000, 48), // AS112.
    v6(0x3fff, 0, 0, 20),         // Documentation.
];

/// A server on the public Internet may have this address.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address)
                && !SPECIAL_V6.iter().any(|net| net.contains(&address))
                && !is_isatap(address)
        }
    }
}

/// The lower half is `5efe` and an IPv4 address (RFC 5214, section 6.1). The bits for "universal"
/// and "group" may have any value.
fn is_isatap(address: Ipv6Addr) -> bool {
    let [.., head, mark, _, _] = address.segments();
    head & !0x0300 == 0 && mark == 0x5efe
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    const REGISTRY_V4: &str =
        include_str!("../../../tests/corpora/ssrf/iana-ipv4-special-registry-1.csv");
    const REGISTRY_V6: &str =
        include_str!("../../../tests/corpora/ssrf/iana-ipv6-special-registry-1.csv");
    const VERDICTS: &str = include_str!("../../../tests/corpora/ssrf/ip_verdicts.jsonl");

    #[derive(Deserialize)]
    struct Verdict {
        ip: IpAddr,
        expect: String,
    }

    /// The address blocks of a registry: the first cell of each row, without quotes and footnote
    /// marks. Some cells hold two blocks, and some rows continue on a second line.
    fn blocks<N: std::str::FromStr>(registry: &str) -> Vec<N> {
        let mut blocks = Vec::new();
        for row in registry.lines().skip(1).filter(|row| !row.starts_with(' ')) {
            let cell = match row.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next(),
                None => row.split(',').next(),
            };
            for block in cell.into_iter().flat_map(|cell| cell.split(", ")) {
                let block = block.split(' ').next().unwrap_or(block);
                blocks.push(block.parse().ok().expect(block));
            }
        }
        blocks
    }

    #[test]
    fn ipv4_list_is_the_registry_and_multicast() {
        let registry: Vec<Ipv4Net> = blocks(REGISTRY_V4);
        assert_eq!(registry.len(), 26);
        let outermost: BTreeSet<Ipv4Net> = Ipv4Net::aggregate(&registry).into_iter().collect();
        let ours: BTreeSet<Ipv4Net> =
            SPECIAL_V4.into_iter().filter(|&n| n != MULTICAST_V4).collect();
        assert_eq!(ours, outermost);
    }

    #[test]
    fn ipv6_list_is_the_part_of_the_registry_in_the_global_block() {
        let registry: Vec<Ipv6Net> = blocks(REGISTRY_V6);
        assert_eq!(registry.len(), 25);
        let global: Vec<_> = registry.into_iter().filter(|net| GLOBAL_V6.contains(net)).collect();
        let outermost: BTreeSet<Ipv6Net> = Ipv6Net::aggregate(&global).into_iter().collect();
        assert_eq!(BTreeSet::from(SPECIAL_V6), outermost);
    }

    #[test]
    fn addresses_of_the_corpus_are_judged_as_marked() {
        let mut n_verdicts = 0;
        for line in VERDICTS.lines() {
            let row: Verdict = serde_json::from_str(line).expect("the corpus is well-formed");
            assert_eq!(is_public(row.ip), row.expect == "allow", "{}", row.ip);
            n_verdicts += 1;
        }
        assert_eq!(n_verdicts, 257);
    }

    proptest! {
        #[test]
        fn ipv4_inside_ipv6_is_never_public(v4: u32, high: u64, flags in 0_u16..4) {
            let v4 = u128::from(v4);
            let high = u128::from(high);
            let carriers = [
                v4,                                        // Compatible.
                (0xffff << 32) | v4,                       // Mapped.
                (0xffff << 48) | v4,                       // Translated.
                (0x64_ff9b << 96) | v4,                    // NAT64.
                (0x64_ff9b_0001 << 80) | v4,               // NAT64 of one network.
                (0x2002 << 112) | (v4 << 80) | high,       // 6to4.
                (0x2001 << 112) | (v4 << 64) | high,       // Teredo, the server.
                (0x2001 << 112) | (high << 32) | (v4 ^ 0xffff_ffff), // Teredo, the client.
                (high << 64) | (u128::from(flags) << 56) | (0x5efe << 32) | v4, // ISATAP.
            ];
            for bits in carriers {
                let address = Ipv6Addr::from_bits(bits);
                prop_assert!(!is_public(address.into()), "{}", address);
            }
        }

        #[test]
        fn nothing_outside_the_global_block_is_public(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert!(bits >> 125 == 1 || !is_public(address.into()), "{}", address);
        }
    }
}
