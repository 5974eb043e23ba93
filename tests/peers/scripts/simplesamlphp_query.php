<?php

// Ask the authority as the attributeaggregator module does, and write what SimpleSAMLphp made of the answer as JSON.
// QUESTION_FILE names the JSON file that the driver wrote; the module's settings are those of the published snippet.

use SAML2\AttributeQuery;
use SAML2\SOAPClient;
use SAML2\XML\saml\Issuer;
use SAML2\XML\saml\NameID;
use SimpleSAML\Configuration;
use SimpleSAML\Metadata\MetaDataStorageHandler;
use SimpleSAML\Module\saml\Message;

require_once getenv('SIMPLESAMLPHP') . '/lib/_autoload.php';

/** A query whose finished, signed form is changed on its way out. */
class TamperedQuery extends AttributeQuery
{
    /** @var array<string, string> text to replace in the NameID */
    public array $tampering = [];

    public function toSignedXML(): DOMElement
    {
        $signed = parent::toSignedXML();
        foreach ($signed->getElementsByTagName('NameID') as $element) {
            $element->nodeValue = strtr($element->nodeValue, $this->tampering);
        }
        return $signed;
    }
}

function name_id(array $given, array $settings): NameID
{
    $element = new NameID();
    $element->setValue($given['value']);
    $format = $given['format'] === $settings['attributeId'] ? $settings['nameIdFormat'] : $given['format'];
    if ($format !== null) {
        $element->setFormat($format);
    }
    if ($given['name_qualifier'] !== null) {
        $element->setNameQualifier($given['name_qualifier']);
    }
    if ($given['sp_name_qualifier'] !== null) {
        $element->setSPNameQualifier($given['sp_name_qualifier']);
    }
    return $element;
}

function build_query(array $question, array $settings, Configuration $own, Configuration $authority): AttributeQuery
{
    $issuer = new Issuer();
    $issuer->setValue($question['entity_id']);
    $query = new TamperedQuery();
    $query->tampering = $question['tampering'];
    $query->setDestination($authority->getDefaultEndpoint('AttributeService', [SAML2\Constants::BINDING_SOAP])['Location']);
    $query->setIssuer($issuer);
    $query->setNameId(name_id($question['name_id'], $settings));
    $query->setAttributeNameFormat($settings['attributeNameFormat']);
    $query->setAttributes(array_map(fn (array $attribute): array => $attribute['values'] ?? [], $settings['attributes']));
    Message::addSign($own, $authority, $query);
    return $query;
}

function accepted_assertions(string $path, Configuration $own, Configuration $authority, SAML2\Response $response): array
{
    if ($path === 'process') {
        return Message::processResponse($own, $authority, $response);
    }
    if (!$response->isSuccess()) {
        throw new Exception(json_encode($response->getStatus()));
    }
    foreach ([$response, ...$response->getAssertions()] as $element) {
        if (!Message::checkSign($authority, $element)) {
            throw new Exception(get_class($element) . ' is not signed');
        }
    }
    return $response->getAssertions();
}

function ask(array $question): array
{
    $authproc = (require $question['snippets'] . '/authproc.php')['authproc'];
    $settings = array_replace(reset($authproc), ['entityId' => $question['authority']]);
    $authority = MetaDataStorageHandler::getMetadataHandler()->getMetaDataConfig($settings['entityId'], 'attributeauthority-remote');
    $own = Configuration::loadFromArray([
        'entityid' => $question['entity_id'],
        'privatekey' => $question['key'],
        'certificate' => $question['certificate'],
    ]);
    $response = (new SOAPClient())->send(build_query($question, $settings, $own, $authority), $own, $authority);
    $attributes = [];
    foreach (accepted_assertions($question['path'], $own, $authority, $response) as $assertion) {
        $attributes = array_merge_recursive($attributes, $assertion->getAttributes());
    }
    return $attributes;
}

$question = json_decode(file_get_contents(getenv('QUESTION_FILE')), true, 512, JSON_THROW_ON_ERROR);
$own_url = parse_url($question['acs_url']);
$_SERVER['HTTPS'] = 'on';
$_SERVER['SERVER_PORT'] = '443';
$_SERVER['HTTP_HOST'] = $own_url['host'];
$_SERVER['REQUEST_URI'] = $own_url['path'];
try {
    $outcome = ['attributes' => (object) ask($question), 'failure' => null];
} catch (Exception $error) {
    $outcome = ['attributes' => (object) [], 'failure' => get_class($error) . ': ' . $error->getMessage()];
}
echo json_encode($outcome, JSON_THROW_ON_ERROR);
