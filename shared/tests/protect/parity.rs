//! Every row of the guide from Flask-JWT-Extended names a test, or says why there is none.
