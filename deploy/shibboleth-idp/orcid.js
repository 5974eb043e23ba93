/*
 * Reads the answer of the authority's lookup door, {"eduPersonOrcid": ["https://orcid.org/0000-0002-1825-0097"]}, for the HTTP connector.
 *
 * ECMAScript 5, for the Nashorn and the Rhino plug-in alike; Packages is what both have. The class that reads the body has another
 * package in versions 4 and 5 of the identity provider: where a class is missing, Packages gives a package, which is no function.
 *
 * Whatever is not the URI of an ORCID iD is left out. A body that is no JSON ends in an exception, and so in "no attribute".
 */
(function () {
    "use strict";

    var ATTRIBUTE = "eduPersonOrcid";
    var MAX_LENGTH = 16384;
    var ORCID_URI = /^https:\/\/(?:sandbox\.)?orcid\.org\/(?:[0-9]{4}-){3}[0-9]{3}[0-9X]$/;

    var version5 = Packages.net.shibboleth.shared.httpclient.HttpClientSupport;
    var version4 = Packages.net.shibboleth.utilities.java.support.httpclient.HttpClientSupport;
    var HttpClientSupport = typeof version5 === "function" ? version5 : version4;

    function listed(body) {
        var answer = JSON.parse(body);
        var values = answer === null ? undefined : answer[ATTRIBUTE];
        return Object.prototype.toString.call(values) === "[object Array]" ? values : [];
    }

    function isOrcidUri(value) {
        return typeof value === "string" && ORCID_URI.test(value);
    }

    var body = String(HttpClientSupport.toString(response.getEntity(), "UTF-8", MAX_LENGTH));
    var orcids = listed(body).filter(isOrcidUri);
    if (orcids.length === 0) {
        log.debug("orcid.js: the authority names no iD");
        return;
    }

    var values = new Packages.java.util.ArrayList();
    orcids.forEach(function (orcid) {
        values.add(new Packages.net.shibboleth.idp.attribute.StringAttributeValue(orcid));
    });
    var attribute = new Packages.net.shibboleth.idp.attribute.IdPAttribute(ATTRIBUTE);
    attribute.setValues(values);
    connectorResults.add(attribute);
}());
