//! Scopes and roles as types, for extractors that ask for them.

/// A scope as a type, for [`Scoped`](super::Scoped): [`scope!`](crate::scope) makes one, and checks it when the service is compiled.
pub trait RequiredScope {
    /// The scope.
    const SCOPE: &'static str;
}

/// Scopes that are asked for together: one, or a tuple of up to four.
pub trait RequiredScopes {
    /// The scopes.
    const SCOPES: &'static [&'static str];
}

/// A role as a type, for [`WithRole`](super::WithRole): [`role!`](crate::role) makes one.
pub trait RequiredRole {
    /// The role.
    const ROLE: &'static str;
}

impl<S: RequiredScope> RequiredScopes for S {
    const SCOPES: &'static [&'static str] = &[S::SCOPE];
}

impl<A: RequiredScope, B: RequiredScope> RequiredScopes for (A, B) {
    const SCOPES: &'static [&'static str] = &[A::SCOPE, B::SCOPE];
}

impl<A: RequiredScope, B: RequiredScope, C: RequiredScope> RequiredScopes for (A, B, C) {
    const SCOPES: &'static [&'static str] = &[A::SCOPE, B::SCOPE, C::SCOPE];
}

impl<A: RequiredScope, B: RequiredScope, C: RequiredScope, D: RequiredScope> RequiredScopes for (A, B, C, D) {
    const SCOPES: &'static [&'static str] = &[A::SCOPE, B::SCOPE, C::SCOPE, D::SCOPE];
}

/// A scope as a type, for [`Scoped`](crate::http::Scoped). A name that can't be a scope does not compile.
///
/// ```
/// countermark::scope!(pub ReadDocuments = "documents:read");
/// ```
///
/// ```compile_fail
/// countermark::scope!(pub ReadDocuments = "documents read");
/// ```
#[macro_export]
macro_rules! scope {
    ($(#[$meta:meta])* $visible:vis $name:ident = $scope:literal) => {
        #[doc = concat!("The scope `", $scope, "`.")]
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $visible struct $name;

        impl $crate::http::RequiredScope for $name {
            const SCOPE: &'static str = {
                assert!($crate::verify::Scope::is_word($scope), "not a scope");
                $scope
            };
        }

        const _: &str = <$name as $crate::http::RequiredScope>::SCOPE;
    };
}

/// A role as a type, for [`WithRole`](crate::http::WithRole).
///
/// ```
/// countermark::role!(pub Admin = "admin");
/// ```
#[macro_export]
macro_rules! role {
    ($(#[$meta:meta])* $visible:vis $name:ident = $role:literal) => {
        #[doc = concat!("The role `", $role, "`.")]
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $visible struct $name;

        impl $crate::http::RequiredRole for $name {
            const ROLE: &'static str = $role;
        }
    };
}
