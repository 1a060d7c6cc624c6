//! Recognizes the form of a hash by the beginning of its text: PHC and crypt forms begin with a dollar, Django's with
//! an algorithm name, Werkzeug's (Flask's) with a method and colons.

use super::{
    InvalidHash,
    argon2::Argon2Hash,
    bcrypt::{BcryptHash, Prehash},
    memory::HashMemory,
    pbkdf2::{Digest, Pbkdf2Hash},
    scrypt::ScryptHash,
};

/// A parsed hash.
pub(super) enum Form {
    Argon2(Argon2Hash),
    Bcrypt(BcryptHash),
    Pbkdf2(Pbkdf2Hash),
    Scrypt(ScryptHash),
}

impl Form {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidHash> {
        match text.strip_prefix('$') {
            Some(rest) => Self::of_crypt(text, rest),
            None => Self::of_framework(text),
        }
    }

    /// Parses a PHC or crypt form. `text` is a dollar and `rest`; `rest` begins with a name.
    fn of_crypt(text: &str, rest: &str) -> Result<Self, InvalidHash> {
        let (name, fields) = rest.split_once('$').ok_or(InvalidHash::UnknownForm)?;
        match name {
            "argon2d" | "argon2i" | "argon2id" => Argon2Hash::parse(text).map(Self::Argon2),
            "2a" | "2b" | "2y" => BcryptHash::parse(text, Prehash::None).map(Self::Bcrypt),
            "pbkdf2" | "pbkdf2-sha1" => Pbkdf2Hash::of_phc(Digest::Sha1, fields).map(Self::Pbkdf2),
            "pbkdf2-sha256" => Pbkdf2Hash::of_phc(Digest::Sha256, fields).map(Self::Pbkdf2),
            "pbkdf2-sha512" => Pbkdf2Hash::of_phc(Digest::Sha512, fields).map(Self::Pbkdf2),
            "scrypt" => ScryptHash::of_phc(fields).map(Self::Scrypt),
            _ => Err(InvalidHash::UnknownForm),
        }
    }

    fn of_framework(text: &str) -> Result<Self, InvalidHash> {
        let (name, fields) = text.split_once('$').ok_or(InvalidHash::UnknownForm)?;
        match name {
            // Django puts the name before a whole PHC string, which begins with its own dollar.
            "argon2" => {
                Argon2Hash::parse(text.strip_prefix(name).ok_or(InvalidHash::UnknownForm)?).map(Self::Argon2)
            }
            "bcrypt" => BcryptHash::parse(fields, Prehash::None).map(Self::Bcrypt),
            "bcrypt_sha256" => BcryptHash::parse(fields, Prehash::HexSha256).map(Self::Bcrypt),
            "pbkdf2_sha1" => Pbkdf2Hash::of_django(Digest::Sha1, fields).map(Self::Pbkdf2),
            "pbkdf2_sha256" => Pbkdf2Hash::of_django(Digest::Sha256, fields).map(Self::Pbkdf2),
            "scrypt" => ScryptHash::of_django(fields).map(Self::Scrypt),
            _ => Self::of_werkzeug(name, fields),
        }
    }

    fn of_werkzeug(method: &str, fields: &str) -> Result<Self, InvalidHash> {
        match method.split_once(':').ok_or(InvalidHash::UnknownForm)? {
            ("pbkdf2", costs) => Pbkdf2Hash::of_werkzeug(costs, fields).map(Self::Pbkdf2),
            ("scrypt", costs) => ScryptHash::of_werkzeug(costs, fields).map(Self::Scrypt),
            _ => Err(InvalidHash::UnknownForm),
        }
    }

    pub(super) fn is_right(&self, attempt: &[u8], memory: &mut HashMemory) -> bool {
        match self {
            Self::Argon2(hash) => hash.is_right(attempt, memory),
            Self::Bcrypt(hash) => hash.is_right(attempt),
            Self::Pbkdf2(hash) => hash.is_right(attempt),
            Self::Scrypt(hash) => {
                // The scrypt library allocates its own memory. argon2's memory is released first, so that both are
                // not held at once.
                memory.release();
                hash.is_right(attempt)
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{STAPLE, fits};

    /// A hash of [`STAPLE`] in each form.
    pub(in super::super) const ONE_OF_EACH: [&str; 12] = [
        "$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
        "argon2$argon2id$v=19$m=64,t=1,p=8$c2Vhc2FsdDAxMjM0NTY3ODlhYmNkZQ$hE7Ol/US7uM/gFhThq75MwYM89PC1uzEXbVn0G5epFo",
        "$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
        "bcrypt$$2b$04$pyJ43uzDEBfC8UGcHBNE9.5kdUCB3rMZ/AQCi8s4HpRGRHmd7Wat.",
        "bcrypt_sha256$$2b$04$JO2H2Oi7mH0YEEzVc746CejpE9UcxseCjKDdKaMZ0mj0CFEnOXtYu",
        "$pbkdf2-sha256$1000$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6g",
        "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f",
        "pbkdf2_sha256$1000$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=",
        "$scrypt$ln=4,r=8,p=1$QqgVwthb691byzlnbM2Z0w$Fa1ry55epKcyxRFScRDQiueKRhtBEY0TZBInEfMznfI",
        "scrypt:1024:8:1$YBkhuE9Ae1vpPFOf$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c0d",
        "scrypt$16$seasalt0123456789abcde$8$2$ot+C4ar9hEuIScPorKSj84+2nOKrJzJBwxH6v7lZ5/4Xzyqne2jR9QDgrwAmkQtN4DIBdaZguO/gQKbp/gwctA==",
        "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
    ];

    #[test]
    fn a_hash_in_each_form_is_known() {
        for hash in ONE_OF_EACH {
            assert!(fits(STAPLE, hash), "{hash}");
        }
    }
}
