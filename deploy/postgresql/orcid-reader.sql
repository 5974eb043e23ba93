-- Lets one home organisation's identity provider read its own people's iDs through the view of orcid-view.sql.
--
--     psql --set ON_ERROR_STOP=1 --single-transaction --file orcid-reader.sql \
--         --set role=orcid_uni --set home=https://idp.uni.example/idp --set environment=production DATABASE
--
-- as a superuser (or a role that may create roles). Then `\password orcid_uni` in psql, and a line in pg_hba.conf, hostssl and
-- scram-sha-256, for this role, this database and the identity provider's addresses alone.
-- To take it back: DELETE FROM orcid_view.reader WHERE role_name = 'orcid_uni'; DROP ROLE orcid_uni;

CREATE ROLE :"role" LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT 20;
GRANT orcid_reader TO :"role";

-- standard_conforming_strings: a backslash is a letter like any other, so that doubled quotes are all the escaping that is needed.
ALTER ROLE :"role" SET standard_conforming_strings = on;
ALTER ROLE :"role" SET default_transaction_read_only = on;
ALTER ROLE :"role" SET statement_timeout = '2s';

INSERT INTO orcid_view.reader (role_name, home_organisation, environment) VALUES (:'role', :'home', :'environment');
